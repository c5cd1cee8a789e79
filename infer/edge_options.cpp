// The flags of branchy-edge.
#include <CLI/CLI.hpp>

#include "infer/edge_command.h"
#include "infer/measure_options.h"
#include "infer/policies/policy_text.h"

namespace branchy {
namespace {

void add_image_options(CLI::App& app, EdgeCommandOptions& options) {
  auto* data = app.add_option("--data", options.data,
                              "Classify a data set: cifar10:DIR, cifar100:DIR or folder:DIR");
  app.add_option("--split", options.split,
                 "Part of the data set as training split it; all: every image of a folder")
      ->check(CLI::IsMember({"test", "val", "train", "all"}))
      ->capture_default_str();
  app.add_option("--test-list", options.test_list,
                 "folder: the test images, one path a line, for a model that recorded none");
  app.add_option("--cache", options.cache, "folder: keep decoded, resized images here");
  app.add_flag("--skip-corrupt", options.skip_corrupt,
               "folder: count and leave out damaged images");
  auto* files = app.add_option("IMAGE", options.files,
                               "Classify image files (JPEG, PNG, BMP, PPM), or all below a folder")
                    ->excludes(data);
  app.add_option("--watch", options.watch,
                 "Classify the image files that lie in this folder and all that are put into it, "
                 "until SIGTERM; --out then grows line by line")
      ->excludes(data)
      ->excludes(files);
  app.add_option("--limit", options.limit, "Stop after so many images")
      ->check(CLI::Range(std::int64_t{1}, INT64_MAX));
}

void add_policy_options(CLI::App& app, EdgeCommandOptions& options) {
  auto* policy = app.add_option("--policy", options.policy,
                                "When an image leaves, one of: " + policy_usage() +
                                    " (default: the one that `branchy policy` put into the model)");
  auto* threshold =
      app.add_option("--threshold", options.thresholds,
                     "Short for --policy max-probability:...: confidence 0..1 that lets an image "
                     "leave, one for all early exits or a comma list with one for each")
          ->excludes(policy);
  auto* adapt = app.add_flag("--adapt", options.adapt,
                             "Follow the bandwidth to the cloud: the policy that `branchy adapt` "
                             "put into the model for the bandwidth as it is before each image")
                    ->excludes(policy)
                    ->excludes(threshold);
  app.add_option("--active-exits", options.active_exits,
                 "Early exits that the policy uses, e.g. 2,3, or none; the others are not computed "
                 "(for p-tar and entropy, whose texts may say it too)")
      ->excludes(threshold)
      ->excludes(adapt);
  app.add_option("--bandwidth-mbit", options.bandwidth_mbit,
                 "With --adapt: take this bandwidth in Mbit/s instead of the estimate")
      ->check(CLI::PositiveNumber)
      ->needs(adapt);
  app.add_flag("--cloud-only", options.cloud_only,
               "Send every image to the cloud; compute here only when it is away")
      ->excludes(adapt);
}

void add_cloud_options(CLI::App& app, EdgeCommandOptions& options) {
  auto* cloud =
      app.add_option("--cloud", options.cloud, "The cloud's address, http[s]://HOST:PORT");
  app.add_option("--cloud-token-file", options.cloud_token_file,
                 "File with the bearer token that the cloud wants")
      ->needs(cloud);
  app.add_option("--cloud-ca", options.cloud_ca,
                 "PEM file of the certificates that an https cloud's must descend from (default: "
                 "the system's)")
      ->needs(cloud);
  app.add_flag("--no-codec", options.no_codec,
               "Send features as float32 even if the model has a codec (to compare bytes: the part "
               "behind the cut was trained on what the codec gives back)");
  app.add_option("--retries", options.retries,
                 "Further attempts at the cloud for an image, after a failed connection or HTTP "
                 "502, 503 or 504, while the time allows")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
}

void add_time_options(CLI::App& app, EdgeCommandOptions& options) {
  app.add_option("--timeout-ms", options.timeout_ms,
                 "The cloud's share: longest wait for its answer to an image, retries included")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  app.add_option("--deadline-ms", options.deadline_ms,
                 "For the whole image, from decoding on: then the most confident exit computed so "
                 "far answers, marked degraded (default: only --timeout-ms)")
      ->check(CLI::Range(1, 3'600'000));
  app.add_option("--hedge-ms", options.hedge_ms,
                 "When the cloud has not answered after so long, compute the rest here too; the "
                 "first answer wins (needs an edge file of branchy export --full-edge)")
      ->check(CLI::Range(0, 3'600'000));
  app.add_option("--in-flight", options.in_flight,
                 "Images asked of the cloud at once, each on a connection of its own, while "
                 "further ones are computed")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--queue", options.queue,
                 "Images that wait here for their computing, and as many for a connection")
      ->check(CLI::Range(1, 65'536))
      ->capture_default_str();
  auto* unordered = app.add_flag("--unordered", options.unordered,
                                 "Give results as they are ready, not in the order of the images");
  app.add_flag("--one-by-one", options.one_by_one,
               "Take an image when the one before is answered, to measure latencies")
      ->excludes(unordered);
  app.add_option("--seed", options.seed, "Of the jitter between retries")->capture_default_str();
}

}  // namespace

void add_edge_options(CLI::App& app, EdgeCommandOptions& options) {
  app.add_option("--model", options.model, "Model file, e.g. edge.safetensors of branchy export")
      ->required();
  add_cloud_options(app, options);
  add_policy_options(app, options);
  add_image_options(app, options);
  add_time_options(app, options);
  add_edge_listen_options(app, options.listen);
  app.add_option("--out", options.out, "Write one JSON object for each image to this file");
  app.add_flag("--json", options.json, "Print JSON: a line for each image file, and the summary");
  add_measure_options(app, options.measure, options.repeat);
  app.add_option("--threads", options.threads, "Computing threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
}

}  // namespace branchy
