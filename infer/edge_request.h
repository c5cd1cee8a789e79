// EdgeRequest: images that a client wants classified, as they came over HTTP.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/image.h"
#include "infer/http_message.h"
#include "infer/model.h"
#include "infer/protocol.h"

namespace branchy {

inline constexpr std::string_view kImageInput = "image";
inline constexpr std::string_view kEncodedImageInput = "encoded_image";
/// What a client accepts to get a line of JSON for each row as soon as it is decided.
inline constexpr std::string_view kNdjsonContentType = "application/x-ndjson";

/// One row of a request.
struct RequestedImage {
  std::vector<std::uint8_t> bytes;  ///< pixels [3,H,W] of the model's size, or an image file
  bool is_encoded = false;
};

struct EdgeRequest {
  InferRequest message;              ///< without its inputs
  std::vector<RequestedImage> rows;  ///< at least one
  bool is_streamed = false;          ///< answered by a JSON line a row, not by tensors
};

/// What GET /v2/models/{m} says of an edge (PROTOCOL.md, "The edge's own endpoint").
[[nodiscard]] ModelDescription describe_edge(const ServedModel& model);

/// Reads the body: a message of the protocol with one of the two inputs; a bare JPEG or PNG file of
/// Content-Type image/*; or, with an inference header of 0, a bare tensor or file. Nothing is
/// decoded yet. Throws HttpError 400 that names what is wrong, also for more than `max_rows` rows.
[[nodiscard]] EdgeRequest read_edge_request(const HttpRequest& request,
                                            const ModelDescription& model, std::int64_t max_rows);

/// The pixels [3,H,W] of a row, as the model's evaluation sees the image. Throws HttpError 400 that
/// names the row for a file that is damaged, no JPEG or PNG, or larger than `limits`.
[[nodiscard]] std::vector<std::uint8_t> row_pixels(RequestedImage row, std::int64_t number,
                                                   const ServedModel& model,
                                                   const ImageLimits& limits);

}  // namespace branchy
