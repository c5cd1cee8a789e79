// Fuzz target: the first line is the header's value ("-" for none), the rest a body, which either
// parses into tensors whose bytes match their shapes, or is refused by HttpError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "infer/protocol.h"

namespace {

void require_consistent(const std::vector<branchy::WireTensor>& tensors) {
  for (const branchy::WireTensor& tensor : tensors) {
    const std::int64_t implied = branchy::implied_bytes(tensor.datatype, tensor.shape, tensor.name);
    if (static_cast<std::size_t>(implied) != tensor.bytes.size()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const char> chars(reinterpret_cast<const char*>(data), size);
  const std::string_view input(chars.data(), chars.size());
  const std::size_t line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  std::optional<std::string_view> header;
  if (input.front() != '-') header = input.substr(0, line);
  const std::string_view body = input.substr(line + 1);
  const std::vector<branchy::TensorDescription> inputs = {{"image", "UINT8", {-1, 3, 2, 2}},
                                                          {"feature@b1", "FP32", {-1, 4, 2, 2}}};
  try {
    require_consistent(branchy::parse_infer_request(body, header, inputs).inputs);
  } catch (const branchy::HttpError&) {
  }
  try {
    require_consistent(branchy::parse_infer_response(body, header).outputs);
  } catch (const branchy::HttpError&) {
  }
  try {
    (void)branchy::parse_model_metadata(body);
  } catch (const branchy::HttpError&) {
  }
  (void)branchy::parse_error_body(body);
  return 0;
}
