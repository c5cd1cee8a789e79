#include "infer/edge_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/printable.h"
#include "infer/model_images.h"
#include "infer/request_check.h"

namespace branchy {
namespace {

std::string_view content_type(const HttpRequest& request) {
  const std::string_view value = find_header(request.headers, "Content-Type").value_or("");
  const std::string_view type = value.substr(0, value.find(';'));
  return type.substr(0, type.find_last_not_of(" \t") + 1);
}

// A list of media types names this one; weights are not looked at but for none at all.
bool accepts(const HttpRequest& request, std::string_view type) {
  std::string_view list = find_header(request.headers, "Accept").value_or("");
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
    const std::size_t start = std::min(item.find_first_not_of(" \t"), item.size());
    const std::string_view name = item.substr(start, item.find_first_of("; \t", start) - start);
    if (name == type) return true;
  }
  return false;
}

std::vector<std::uint8_t> to_bytes(std::string_view text) { return {text.begin(), text.end()}; }

// A body that is nothing but one file or one tensor of pixels.
EdgeRequest bare_request(std::string_view body, std::int64_t pixel_bytes, bool is_encoded) {
  if (body.empty()) throw HttpError(400, "the body is empty, expected an image");
  EdgeRequest request;
  if (!is_encoded) request.message.binary_outputs = true;
  const bool is_file = is_encoded || std::cmp_not_equal(body.size(), pixel_bytes);
  request.rows.push_back({.bytes = to_bytes(body), .is_encoded = is_file});
  return request;
}

std::int64_t bytes_of_image(const ModelDescription& model) {
  const std::vector<std::int64_t>& shape = model.inputs.front().shape;
  return shape[1] * shape[2] * shape[3];
}

void check_rows(std::int64_t rows, std::int64_t max_rows) {
  if (rows > max_rows)
    throw HttpError(400,
                    fmt::format("request has {} rows, at most {} are accepted", rows, max_rows));
}

std::vector<RequestedImage> take_rows(const WireTensor& input, std::int64_t pixel_bytes) {
  std::vector<RequestedImage> rows;
  if (input.name == kEncodedImageInput) {
    for (const std::string_view file : bytes_values(input)) {
      if (file.empty())
        throw HttpError(400, fmt::format("[input {}] row {} is empty, expected a JPEG or PNG file",
                                         input.name, rows.size()));
      rows.push_back({.bytes = to_bytes(file), .is_encoded = true});
    }
    return rows;
  }
  const std::vector<std::uint8_t> pixels = uint8_values(input);
  for (auto start = pixels.begin(); start != pixels.end(); start += pixel_bytes)
    rows.push_back({.bytes = {start, start + pixel_bytes}});
  return rows;
}

}  // namespace

ModelDescription describe_edge(const ServedModel& model) {
  const Shape& image = *model.image_shape;
  return {.name = model.info.config.name,
          .inputs = {{std::string(kImageInput), "UINT8", {-1, image[1], image[2], image[3]}},
                     {std::string(kEncodedImageInput), "BYTES", {-1}}},
          .outputs = {{"class_index", "INT32", {-1}},
                      {"label", "BYTES", {-1}},
                      {"confidence", "FP32", {-1}},
                      {"exit_index", "INT32", {-1}},
                      {"last_exit", "INT32", {-1}},
                      {"where", "BYTES", {-1}},
                      {"degraded", "BOOL", {-1}},
                      {"dropped", "BOOL", {-1}},
                      {"reason", "BYTES", {-1}}}};
}

EdgeRequest read_edge_request(const HttpRequest& http, const ModelDescription& model,
                              std::int64_t max_rows) {
  const std::int64_t pixel_bytes = bytes_of_image(model);
  const auto json_bytes = find_header(http.headers, kInferenceHeader);
  EdgeRequest request;
  if (content_type(http).starts_with("image/")) {
    request = bare_request(http.body, pixel_bytes, true);
  } else if (json_bytes == "0") {
    request = bare_request(http.body, pixel_bytes, false);
  } else {
    request.message = parse_infer_request(http.body, json_bytes, model.inputs);
    check_inputs(request.message, model);
    check_outputs(request.message, model);
    const WireTensor& input = request.message.inputs.front();
    check_rows(input.shape.front(), max_rows);
    request.rows = take_rows(input, pixel_bytes);
    request.message.inputs.clear();
  }
  request.is_streamed = accepts(http, kNdjsonContentType);
  return request;
}

std::vector<std::uint8_t> row_pixels(RequestedImage row, std::int64_t number,
                                     const ServedModel& model, const ImageLimits& limits) {
  if (!row.is_encoded) return std::move(row.bytes);
  try {
    return decode_model_image(model.info, *model.image_shape, row.bytes,
                              fmt::format("row {}", number), limits);
  } catch (const DataError& error) {
    throw HttpError(400, error.what());
  }
}

}  // namespace branchy
