#include "infer/edge_command.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/threads.h"
#include "infer/edge_listen.h"
#include "infer/edge_output.h"
#include "infer/edge_setup.h"
#include "infer/image_source.h"
#include "infer/measure_options.h"
#include "infer/result_order.h"
#include "infer/shutdown_signal.h"
#include "infer/thumbnail.h"

namespace branchy {
namespace {

// Results that wait for an earlier one, such as of the images behind one at a slow cloud.
constexpr std::size_t kMaxHeldBack = 4096;

void warn(const std::string& text) { fmt::print(stderr, "branchy-edge: {}\n", text); }

// Null for an edge that only listens.
std::unique_ptr<ImageSource> make_source(const EdgeCommandOptions& options,
                                         const ServedModel& model, const ShutdownSignal& shutdown) {
  if (!options.watch.empty()) return make_watch_source(model, options.watch, shutdown.descriptor());
  if (!options.files.empty()) return make_file_source(model, options.files);
  if (options.data.empty()) return nullptr;
  std::vector<std::string> remarks;
  auto source = make_data_source(model,
                                 {.data = options.data,
                                  .part = options.split,
                                  .test_list = options.test_list,
                                  .cache = options.cache,
                                  .skip_corrupt = options.skip_corrupt},
                                 remarks);
  for (const std::string& remark : remarks) warn(remark);
  return source;
}

EdgeResult result_of(const SourceImage& image, const EdgeOutcome& outcome, const ServedModel& model,
                     bool is_adaptive) {
  EdgeResult result{.index = image.index,
                    .file = image.file,
                    .label = image.label,
                    .class_name = {},
                    .outcome = outcome,
                    .is_adaptive = is_adaptive};
  const std::vector<std::string>& names = model.info.class_names;
  const std::int64_t label = outcome.prediction.label;
  if (label < std::ssize(names)) result.class_name = names[static_cast<std::size_t>(label)];
  return result;
}

std::shared_ptr<const Thumbnail> picture_of(std::span<const std::uint8_t> pixels,
                                            const ServedModel& model) {
  return std::make_shared<const Thumbnail>(make_thumbnail(pixels, *model.image_shape));
}

// Number of images that could not be read. `listener` may be null.
int classify(const EdgeCommandOptions& options, ImageSource& source, EdgePipeline& pipeline,
             const ShutdownSignal& shutdown, EdgeListener* listener, ResultOrder& results) {
  const ServedModel& model = pipeline.model();
  int num_failed = 0;
  for (std::int64_t taken = 0; options.limit == 0 || taken < options.limit; ++taken) {
    if (shutdown.requested()) break;
    std::optional<SourceImage> image = source.next();
    if (!image) break;
    if (!image->problem.empty()) {
      warn(image->problem);
      ++num_failed;
      continue;
    }
    EdgeImage job{.pixels = std::exchange(image->pixels, {}), .decode_ms = image->decode_ms};
    const std::int64_t number = results.begin();
    std::shared_ptr<const Thumbnail> picture;
    if (listener != nullptr) picture = picture_of(job.pixels, model);
    pipeline.submit(std::move(job), [&results, &model, &options, listener, number, picture,
                                     image = *std::move(image)](const EdgeOutcome& outcome) {
      EdgeResult result = result_of(image, outcome, model, options.adapt);
      if (listener != nullptr) listener->count(result, picture);
      results.add(number, std::move(result));
    });
    if (options.one_by_one) pipeline.drain();
  }
  pipeline.drain();
  return num_failed;
}

}  // namespace

int run_edge_command(const EdgeCommandOptions& options) {
  check_edge_options(options);
  const ShutdownSignal shutdown;
  set_num_threads(options.threads > 0 ? options.threads : num_available_cpus());
  ServedModel model = load_served_model(options.model);
  if (!options.measure.empty()) {
    write_measured_times(model, options.measure, options.repeat,
                         [&] { return shutdown.requested(); });
    return 0;
  }
  unpin_this_thread();  // it will decode beside the one that computes
  // Made before the pipeline, whose last images report to them.
  EdgeOutput output({.out = options.out,
                     .json = options.json,
                     .prints_files = options.data.empty(),
                     .is_endless = !options.watch.empty()},
                    warn);
  ResultOrder results(!options.unordered, kMaxHeldBack,
                      [&](const EdgeResult& result) { output.add(result); });
  const auto pipeline = make_edge_pipeline(options, std::move(model), warn);
  std::unique_ptr<EdgeListener> listener;
  if (!options.listen.address.empty())
    listener = std::make_unique<EdgeListener>(options.listen, *pipeline,
                                              std::chrono::milliseconds(options.deadline_ms));
  int num_failed = 0;
  if (const auto source = make_source(options, pipeline->model(), shutdown)) {
    num_failed = classify(options, *source, *pipeline, shutdown, listener.get(), results);
    results.check();
    output.finish(pipeline->status());
  }
  const bool is_cut_short = shutdown.requested();
  if (listener) {
    shutdown.wait();
    listener->stop();
  }
  if (!options.watch.empty()) return 0;
  if (is_cut_short) warn("stopped by a signal; the results so far are kept");
  return num_failed == 0 ? 0 : 1;
}

}  // namespace branchy
