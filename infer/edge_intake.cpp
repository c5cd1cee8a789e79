#include "infer/edge_intake.h"

#include <fmt/format.h>

#include <exception>
#include <utility>
#include <vector>

#include "infer/request_deadline.h"

namespace branchy {
namespace {

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

// On its way through the threads, one after another.
struct EdgeIntake::Request {
  HttpRequest http;
  Responder respond;
};

EdgeIntake::EdgeIntake(EdgePipeline& pipeline, ModelDescription model, EdgeIntakeOptions options,
                       Observer observer)
    : pipeline_(pipeline),
      model_(std::move(model)),
      options_(options),
      observer_(std::move(observer)),
      decoders_({.workers = options.decoders, .limit = options.queue}) {}

void EdgeIntake::take(HttpRequest http, const Responder& respond) {
  const auto request = std::make_shared<Request>(Request{std::move(http), respond});
  std::function<void()> task = [this, request] { read(*request); };
  if (!decoders_.try_push(task)) refuse(*request, 503, "overloaded; try again later");
}

void EdgeIntake::read(Request& request) {
  try {
    submit_rows(request);
  } catch (const HttpError& error) {
    refuse(request, error.status(), error.what());
  } catch (const std::exception& error) {
    observer_.request(500, ms_since(request.http.arrived), error.what());
    request.respond(error_response(500, "internal error"));
  }
}

void EdgeIntake::submit_rows(Request& request) {
  const std::optional<Clock::time_point> deadline =
      request_deadline(request.http, options_.deadline);
  EdgeRequest parsed = read_edge_request(request.http, model_, options_.max_rows);
  request.http.body = {};
  const bool is_streamed = parsed.is_streamed;
  const std::size_t num_rows = parsed.rows.size();
  std::vector<EdgeImage> images;
  if (!is_streamed) {
    images.reserve(num_rows);
    for (std::size_t row = 0; row < num_rows; ++row)
      images.push_back(decode(parsed.rows[row], row, deadline));
  }
  if (deadline && Clock::now() >= *deadline)
    throw HttpError(504, "the deadline passed before anything was computed");
  const auto answer = std::make_shared<EdgeAnswer>(
      request.respond, std::move(parsed.message), model_, num_rows, is_streamed,
      [this, arrived = request.http.arrived, num_rows](int status) {
        observer_.request(status, ms_since(arrived), fmt::format("{} images", num_rows));
      });
  bool may_wait = false;
  for (std::size_t row = 0; row < num_rows && !answer->is_gone(); ++row) {
    try {
      EdgeImage image =
          is_streamed ? decode(parsed.rows[row], row, deadline) : std::move(images[row]);
      if (!submit(answer, std::move(image), row, may_wait))
        return refuse(request, 503, "overloaded; try again later");
    } catch (const HttpError& error) {
      answer->fail_row(row, error.what());  // of a stream: others are decoded already
    }
    may_wait = true;
  }
}

EdgeImage EdgeIntake::decode(RequestedImage& row, std::size_t number,
                             std::optional<Clock::time_point> deadline) {
  const Clock::time_point start = Clock::now();
  const bool is_encoded = row.is_encoded;
  EdgeImage image{
      .pixels = row_pixels(std::move(row), static_cast<std::int64_t>(number), pipeline_.model(),
                           {.max_pixels = options_.max_megapixels * 1'000'000}),
      .deadline = deadline};
  if (is_encoded) image.decode_ms = ms_since(start);
  return image;
}

bool EdgeIntake::submit(const std::shared_ptr<EdgeAnswer>& answer, EdgeImage image, std::size_t row,
                        bool may_wait) {
  auto thumbnail = std::make_shared<const Thumbnail>(
      make_thumbnail(image.pixels, *pipeline_.model().image_shape));
  EdgePipeline::Done done = [this, answer, row, thumbnail](const EdgeOutcome& outcome) {
    EdgeResult result = result_of(row, outcome);
    observer_.row(result, thumbnail);
    answer->set_row(row, std::move(result));
  };
  if (!may_wait) return pipeline_.try_submit(image, done);
  pipeline_.submit(std::move(image), std::move(done));
  return true;
}

EdgeResult EdgeIntake::result_of(std::size_t row, const EdgeOutcome& outcome) const {
  EdgeResult result;
  result.index = static_cast<std::int64_t>(row);
  result.outcome = outcome;
  const std::vector<std::string>& names = pipeline_.model().info.class_names;
  const std::int64_t label = outcome.prediction.label;
  if (label < std::ssize(names)) result.class_name = names[static_cast<std::size_t>(label)];
  return result;
}

void EdgeIntake::refuse(const Request& request, int status, std::string_view text) {
  observer_.request(status, ms_since(request.http.arrived), std::string(text));
  request.respond(error_response(status, text));
}

}  // namespace branchy
