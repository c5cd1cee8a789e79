#include "infer/range_coder.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace branchy {

namespace {

constexpr std::uint32_t kLeastRange = 1U << 24U;

class Writer {
 public:
  void encode(std::uint32_t low, std::uint32_t frequency) {
    const std::uint32_t unit = range_ / kFrequencySum;
    low_ += std::uint64_t{unit} * low;
    range_ = unit * frequency;
    while (range_ < kLeastRange) {
      range_ <<= 8U;
      shift();
    }
  }

  std::vector<std::byte> finish() {
    // The number with the most zeros at its end inside the interval, which is wider than 2^24.
    constexpr std::uint64_t kMask = kLeastRange - 1;
    low_ = (low_ + kMask) & ~kMask;
    for (int i = 0; i < 5; ++i) shift();
    while (!bytes_.empty() && bytes_.back() == std::byte{0}) bytes_.pop_back();
    return std::move(bytes_);
  }

 private:
  /// Moves the top byte out, unless a later carry may still change it.
  void shift() {
    const bool carry = low_ >= (std::uint64_t{1} << 32U);
    if (low_ < 0xFF000000U || carry) {
      if (started_) bytes_.push_back(static_cast<std::byte>(held_ + (carry ? 1U : 0U)));
      bytes_.insert(bytes_.end(), waiting_, carry ? std::byte{0} : std::byte{0xFF});
      waiting_ = 0;
      held_ = static_cast<std::uint8_t>(low_ >> 24U);
      started_ = true;
    } else {
      ++waiting_;
    }
    low_ = (low_ & 0x00FFFFFFU) << 8U;
  }

  std::uint64_t low_ = 0;
  std::uint32_t range_ = 0xFFFFFFFFU;
  std::uint8_t held_ = 0;
  bool started_ = false;  // nothing is held yet
  std::size_t waiting_ = 0;
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {
    for (int i = 0; i < 4; ++i) take();
  }

  /// Where in 0..kFrequencySum-1 the next level lies; above it in damaged codes alone.
  [[nodiscard]] std::uint32_t place() const { return code_ / (range_ / kFrequencySum); }
  void consume(std::uint32_t low, std::uint32_t frequency) {
    const std::uint32_t unit = range_ / kFrequencySum;
    code_ -= unit * low;
    range_ = unit * frequency;
    while (range_ < kLeastRange) {
      range_ <<= 8U;
      take();
    }
  }
  [[nodiscard]] bool at_end() const { return next_ >= bytes_.size(); }

 private:
  void take() {
    const std::uint32_t byte =
        next_ < bytes_.size() ? std::to_integer<std::uint32_t>(bytes_[next_]) : 0U;
    code_ = (code_ << 8U) | byte;
    ++next_;
  }

  std::span<const std::byte> bytes_;
  std::size_t next_ = 0;
  std::uint32_t code_ = 0, range_ = 0xFFFFFFFFU;
};

}  // namespace

std::vector<std::uint32_t> to_frequencies(std::span<const std::uint64_t> occurrences) {
  const std::uint64_t sum =
      std::accumulate(occurrences.begin(), occurrences.end(), std::uint64_t{0});
  const std::uint64_t spare = kFrequencySum - occurrences.size();
  std::vector<std::uint32_t> frequencies;
  std::uint32_t total = 0;
  for (const std::uint64_t occurrence : occurrences) {
    const std::uint64_t share = sum == 0 ? spare / occurrences.size() : occurrence * spare / sum;
    frequencies.push_back(1U + static_cast<std::uint32_t>(share));
    total += frequencies.back();
  }
  *std::max_element(frequencies.begin(), frequencies.end()) += kFrequencySum - total;
  return frequencies;
}

RangeCoder::RangeCoder(const std::vector<std::vector<std::uint32_t>>& frequencies,
                       std::int64_t count)
    : count_(static_cast<std::size_t>(count)),
      channel_size_(std::max<std::size_t>(1, count_ / frequencies.size())) {
  BRANCHY_DCHECK(count_ % frequencies.size() == 0);
  for (const auto& channel : frequencies) {
    Cumulative sums{0};
    for (const std::uint32_t frequency : channel) sums.push_back(sums.back() + frequency);
    BRANCHY_DCHECK(sums.back() == kFrequencySum);
    tables_.push_back(std::move(sums));
  }
}

std::vector<std::byte> RangeCoder::encode(std::span<const std::uint8_t> levels) const {
  BRANCHY_DCHECK(levels.size() == count_);
  Writer writer;
  for (std::size_t i = 0; i < count_; ++i) {
    const Cumulative& sums = table(i);
    const std::size_t level = levels[i];
    writer.encode(sums[level], sums[level + 1] - sums[level]);
  }
  return writer.finish();
}

std::optional<std::vector<std::uint8_t>> RangeCoder::decode(std::span<const std::byte> code) const {
  std::vector<std::uint8_t> levels(count_);
  Reader reader(code);
  for (std::size_t i = 0; i < count_; ++i) {
    const Cumulative& sums = table(i);
    const std::uint32_t place = reader.place();
    if (place >= kFrequencySum) return std::nullopt;
    const auto level =
        static_cast<std::size_t>(std::upper_bound(sums.begin(), sums.end(), place) - sums.begin()) -
        1;
    reader.consume(sums[level], sums[level + 1] - sums[level]);
    levels[i] = static_cast<std::uint8_t>(level);
  }
  if (!reader.at_end()) return std::nullopt;
  return levels;
}

}  // namespace branchy
