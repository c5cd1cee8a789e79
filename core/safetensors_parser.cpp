// The header of a safetensors file: read as events, then checked against the buffer.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "core/safetensors.h"
#include "core/safetensors_format.h"

namespace branchy {

using detail::kMaxHeaderBytes;
using detail::kMetadataKey;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxFileRank = 64;  // PyTorch's and NumPy's limit
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 62U;

struct DtypeSize {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array kDtypes = std::to_array<DtypeSize>({
    {"BOOL", 1},
    {"U8", 1},
    {"I8", 1},
    {"F8_E5M2", 1},
    {"F8_E4M3", 1},
    {"I16", 2},
    {"U16", 2},
    {"F16", 2},
    {"BF16", 2},
    {"I32", 4},
    {"U32", 4},
    {"F32", 4},
    {"F64", 8},
    {"I64", 8},
    {"U64", 8},
});

[[noreturn]] void fail(std::string_view place, std::string_view problem) {
  throw DataError(
      fmt::format("[{}] {}; the file is damaged or no safetensors file, fetch or write it again",
                  place, problem));
}

/// An entry as the JSON states it, before it is compared with the buffer.
struct RawEntry {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::uint64_t> offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

struct RawHeader {
  Metadata metadata;
  std::map<std::string, RawEntry> entries;
};

/// Receives the JSON event by event. The states allow just the header's three levels, so nesting
/// is bounded, and every key is compared with those before it, which a DOM would silently merge.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(std::string_view place) : place_(place) {}
  [[nodiscard]] RawHeader take() { return std::move(header_); }

  bool null() override { return unexpected("null"); }
  bool boolean(bool /*value*/) override { return unexpected("a boolean"); }
  bool number_float(double /*value*/, const std::string& text) override {
    return unexpected(fmt::format("the number {}", printable(text)));
  }
  bool binary(nlohmann::json::binary_t& /*value*/) override { return unexpected("binary data"); }
  bool number_integer(std::int64_t value) override {
    return value < 0 ? unexpected(fmt::format("the negative number {}", value))
                     : number_unsigned(static_cast<std::uint64_t>(value));
  }
  bool number_unsigned(std::uint64_t value) override;
  bool string(std::string& value) override;
  bool key(std::string& value) override;
  bool start_object(std::size_t /*elements*/) override;
  bool end_object() override;
  bool start_array(std::size_t /*elements*/) override;
  bool end_array() override;
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    const std::string_view what = error.what();
    const std::size_t detail = what.find("] ");
    fail(place_, fmt::format("header is not valid JSON at byte {}: {}", kLengthBytes + position,
                             printable(detail == what.npos ? what : what.substr(detail + 2))));
  }

 private:
  enum class State { kStart, kNames, kEntry, kMetadata, kShape, kOffsets, kDone };

  bool unexpected(std::string_view what) const {
    fail(place_, fmt::format("{} holds {}, expected {}", where(), what, expected()));
  }
  [[nodiscard]] std::string where() const;
  [[nodiscard]] std::string_view expected() const;

  std::string_view place_;
  RawHeader header_;
  State state_ = State::kStart;
  std::string name_;   // the tensor being read
  std::string field_;  // the key being read inside a tensor or the metadata
  RawEntry* entry_ = nullptr;
  bool seen_metadata_ = false;
};

std::string HeaderReader::where() const {
  switch (state_) {
    case State::kEntry:
    case State::kShape:
    case State::kOffsets:
      return fmt::format("tensor '{}' {}", printable(name_), printable(field_));
    case State::kMetadata:
      return fmt::format("__metadata__ '{}'", printable(field_));
    case State::kNames:
      return fmt::format("'{}'", printable(name_));
    default:
      return "header";
  }
}

std::string_view HeaderReader::expected() const {
  switch (state_) {
    case State::kEntry:
      return "dtype: a string, shape: a list, data_offsets: a list";
    case State::kMetadata:
      return "a string";
    case State::kShape:
      return "integers from 0 to 2^62, at most 64 of them";
    case State::kOffsets:
      return "two integers";
    default:
      return "an object";
  }
}

bool HeaderReader::number_unsigned(std::uint64_t value) {
  if (state_ == State::kShape) {
    if (value > kMaxElements || entry_->shape.size() == kMaxFileRank)
      return unexpected(fmt::format("the number {} at position {}", value, entry_->shape.size()));
    entry_->shape.push_back(static_cast<std::int64_t>(value));
    return true;
  }
  if (state_ != State::kOffsets || entry_->offsets.size() == 2)
    return unexpected(fmt::format("the number {}", value));
  entry_->offsets.push_back(value);
  return true;
}

bool HeaderReader::string(std::string& value) {
  if (state_ == State::kMetadata) {
    header_.metadata.find(field_)->second = std::move(value);
    return true;
  }
  if (state_ != State::kEntry || field_ != "dtype")
    return unexpected(fmt::format("the string '{}'", printable(value)));
  entry_->dtype = std::move(value);
  return true;
}

bool HeaderReader::key(std::string& value) {
  bool fresh = true;
  if (state_ == State::kNames) {
    name_ = std::move(value);
    fresh = name_ == kMetadataKey ? !std::exchange(seen_metadata_, true)
                                  : header_.entries.try_emplace(name_).second;
    if (!fresh) fail(place_, fmt::format("duplicate key '{}'", printable(name_)));
    return true;
  }
  field_ = std::move(value);
  if (state_ == State::kMetadata) {
    fresh = header_.metadata.try_emplace(field_).second;
  } else if (field_ == "dtype") {
    fresh = !std::exchange(entry_->has_dtype, true);
  } else if (field_ == "shape") {
    fresh = !std::exchange(entry_->has_shape, true);
  } else if (field_ == "data_offsets") {
    fresh = !std::exchange(entry_->has_offsets, true);
  } else {
    fail(place_,
         fmt::format("tensor '{}' has the unknown key '{}'", printable(name_), printable(field_)));
  }
  if (!fresh)
    fail(place_, fmt::format("duplicate key '{}' in '{}'", printable(field_), printable(name_)));
  return true;
}

bool HeaderReader::start_object(std::size_t /*elements*/) {
  if (state_ == State::kStart) {
    state_ = State::kNames;
  } else if (state_ != State::kNames) {
    return unexpected("an object");
  } else if (name_ == kMetadataKey) {
    state_ = State::kMetadata;
  } else {
    entry_ = &header_.entries.find(name_)->second;
    state_ = State::kEntry;
  }
  return true;
}

bool HeaderReader::end_object() {
  if (state_ == State::kEntry) {
    const char* missing = !entry_->has_dtype     ? "dtype"
                          : !entry_->has_shape   ? "shape"
                          : !entry_->has_offsets ? "data_offsets"
                                                 : nullptr;
    if (missing != nullptr)
      fail(place_, fmt::format("tensor '{}' has no {}", printable(name_), missing));
  }
  state_ = state_ == State::kNames ? State::kDone : State::kNames;
  return true;
}

bool HeaderReader::start_array(std::size_t /*elements*/) {
  if (state_ != State::kEntry || field_ == "dtype") return unexpected("a list");
  state_ = field_ == "shape" ? State::kShape : State::kOffsets;
  return true;
}

bool HeaderReader::end_array() {
  if (state_ == State::kOffsets && entry_->offsets.size() != 2)
    return unexpected(fmt::format("{} numbers", entry_->offsets.size()));
  state_ = State::kEntry;
  return true;
}

/// Bytes that dtype and shape ask for; refuses unknown dtypes and products beyond 2^62 bytes.
std::uint64_t bytes_of(std::string_view place, const std::string& name, const RawEntry& entry) {
  std::uint64_t bytes = dtype_bytes(entry.dtype);
  if (bytes == 0)
    fail(place, fmt::format("tensor '{}' has the unknown dtype '{}'", printable(name),
                            printable(entry.dtype)));
  for (const std::int64_t dim : entry.shape) {
    const auto factor = static_cast<std::uint64_t>(dim);
    if (factor != 0 && bytes > kMaxElements / factor)
      fail(place, fmt::format("the shape of tensor '{}' overflows: more than 2^62 bytes",
                              printable(name)));
    bytes *= factor;
  }
  return bytes;
}

void check_offsets(std::string_view place, const std::string& name, const RawEntry& entry,
                   std::uint64_t buffer_bytes) {
  const std::uint64_t begin = entry.offsets[0];
  const std::uint64_t end = entry.offsets[1];
  const std::string offsets =
      fmt::format("tensor '{}' has data_offsets [{},{}]", printable(name), begin, end);
  if (begin > end) fail(place, offsets + ", which end before they begin");
  if (end > buffer_bytes)
    fail(place, fmt::format("{}, beyond the data buffer of {} bytes", offsets, buffer_bytes));
  const std::uint64_t wanted = bytes_of(place, name, entry);
  if (end - begin != wanted)
    fail(place, fmt::format("{}, {} bytes, but its dtype and shape need {}", offsets, end - begin,
                            wanted));
}

/// Sorted by offset, the entries must start at 0, follow each other and end with the buffer.
void check_contiguous(std::string_view place, const RawHeader& header, std::uint64_t buffer_bytes) {
  std::vector<const std::pair<const std::string, RawEntry>*> order;
  order.reserve(header.entries.size());
  for (const auto& entry : header.entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->second.offsets < b->second.offsets; });
  std::uint64_t reached = 0;
  for (const auto* entry : order) {
    const std::uint64_t begin = entry->second.offsets[0];
    if (begin != reached)
      fail(place, fmt::format("tensor '{}' begins at byte {} of the buffer, expected {}: the "
                              "tensors {}",
                              printable(entry->first), begin, reached,
                              begin < reached ? "overlap" : "leave a hole"));
    reached = entry->second.offsets[1];
  }
  if (reached != buffer_bytes)
    fail(place, fmt::format("the tensors end at byte {} of a data buffer of {} bytes", reached,
                            buffer_bytes));
}

RawHeader read_header(std::string_view place, std::string_view json) {
  if (json.empty() || json.front() != '{') fail(place, "the header does not begin with '{'");
  HeaderReader reader(place);
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader))
    fail(place, "header is not valid JSON");
  return reader.take();
}

/// Files of torch.save: a zip archive, or (before PyTorch 1.6) a pickle. In both the ninth byte,
/// with which the header of safetensors begins, is not '{'.
void refuse_pytorch(std::span<const std::byte> bytes, std::string_view place) {
  constexpr std::string_view kZip = "PK\x03\x04";
  constexpr unsigned char kPickle = 0x80;  // followed by the protocol
  if (bytes.size() <= kLengthBytes) return;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), kLengthBytes + 1);
  if (text.back() == '{') return;
  const auto protocol = static_cast<unsigned char>(text[1]);
  const bool pickle =
      static_cast<unsigned char>(text[0]) == kPickle && protocol >= 2 && protocol <= 5;
  if (!pickle && !text.starts_with(kZip)) return;
  throw DataError(fmt::format(
      "[{0}] is a file of torch.save ({1}), expected safetensors; convert it: python3 -c \"import "
      "torch, safetensors.torch as s; d = torch.load('{0}', map_location='cpu'); d = "
      "d.get('state_dict', d.get('model', d)); s.save_file({{k: v.contiguous() for k, v in "
      "d.items()}}, 'weights.safetensors', {{'format': 'pt'}})\"",
      place, pickle ? "pickle" : "zip"));
}

}  // namespace

std::uint64_t dtype_bytes(std::string_view dtype) {
  const auto* const found =
      std::find_if(kDtypes.begin(), kDtypes.end(),
                   [dtype](const DtypeSize& known) { return known.name == dtype; });
  return found == kDtypes.end() ? 0 : found->bytes;
}

SafetensorsIndex parse_safetensors(std::span<const std::byte> bytes, std::string_view place) {
  if (bytes.size() < kLengthBytes)
    fail(place, fmt::format("{} bytes, expected at least {}", bytes.size(), kLengthBytes));
  refuse_pytorch(bytes, place);
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  if (header_bytes > kMaxHeaderBytes)
    fail(place,
         fmt::format("header length {}, expected at most {}", header_bytes, kMaxHeaderBytes));
  if (header_bytes > bytes.size() - kLengthBytes)
    fail(place, fmt::format("header length {}, but only {} bytes follow: the file is truncated",
                            header_bytes, bytes.size() - kLengthBytes));
  const auto header_span = bytes.subspan(kLengthBytes, header_bytes);
  const auto buffer = bytes.subspan(kLengthBytes + header_bytes);
  RawHeader header =
      read_header(place, {reinterpret_cast<const char*>(header_span.data()), header_span.size()});
  for (const auto& [name, entry] : header.entries) check_offsets(place, name, entry, buffer.size());
  check_contiguous(place, header, buffer.size());

  SafetensorsIndex index;
  index.metadata = std::move(header.metadata);
  for (auto& [name, entry] : header.entries)
    index.entries.emplace(
        name, SafetensorsEntry{
                  .dtype = std::move(entry.dtype),
                  .shape = std::move(entry.shape),
                  .bytes = buffer.subspan(entry.offsets[0], entry.offsets[1] - entry.offsets[0])});
  return index;
}

}  // namespace branchy
