#include "experiments/load_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "experiments/latency_summary.h"
#include "experiments/load_generator.h"
#include "experiments/metrics_text.h"
#include "experiments/recorded_features.h"
#include "experiments/split_programs.h"
#include "infer/model_images.h"

namespace branchy {
namespace {

using nlohmann::ordered_json;

struct LoadCommand {
  std::string features, edge, cloud, data, cache, url, out, token_file, bin;
  std::int64_t record = 256, threads = 1;
  double seconds = 60, timeout_s = 10, patience_s = 0;
  std::vector<std::string> cloud_options;
  std::vector<int> cloud_cpus;
  LoadOptions load;
};

RecordedFeatures features_for(const LoadCommand& c) {
  if (c.edge.empty()) return load_features(c.features);
  set_num_threads(c.threads);
  const ServedModel edge = load_served_model(c.edge), cloud = load_served_model(c.cloud);
  const auto images =
      open_images(edge.info, edge.image_shape.value_or(Shape()), {.data = c.data, .cache = c.cache})
          .images;
  RecordedFeatures recorded = record_features(edge, cloud, *images, c.record);
  if (!c.features.empty()) save_features(c.features, recorded);
  return recorded;
}

// CPU time of a cloud that was started here, and what of it was in the model.
struct CpuUse {
  double total_s = 0, compute_s = 0;
};

CpuUse cpu_use(CloudProgram& cloud) {
  return {cloud.process().cpu_seconds(),
          metric_sum(fetch_metrics(cloud.port()), "branchy_compute_cpu_seconds_total")};
}

ordered_json to_json(const LoadReport& report) {
  const LatencySummary latency = summarize(report.latencies_ms);
  return {{"requests", report.sent},
          {"right", report.right},
          {"wrong", report.wrong},
          {"lost", report.lost},
          {"retries", report.retries},
          {"errors", report.errors},
          {"seconds", report.seconds},
          {"requests_per_second", static_cast<double>(report.right) / report.seconds},
          {"latency_ms",
           {{"mean", latency.mean},
            {"half_width_95", latency.half_width_95},
            {"p50", latency.p50},
            {"p95", latency.p95},
            {"p99", latency.p99},
            {"most", latency.most}}}};
}

void print(const LoadReport& report, const std::optional<CpuUse>& cpu) {
  const LatencySummary latency = summarize(report.latencies_ms);
  fmt::print("{} requests in {:.1f} s: {} right ({:.1f} a second), {} wrong, {} lost, {} retries\n",
             report.sent, report.seconds, report.right,
             static_cast<double>(report.right) / report.seconds, report.wrong, report.lost,
             report.retries);
  for (const auto& [kind, count] : report.errors) fmt::print("  {}: {}\n", kind, count);
  if (!report.first_wrong.empty()) fmt::print("  first wrong answer: {}\n", report.first_wrong);
  fmt::print("latency ms: mean {} +- {}, p50 {}, p95 {}, p99 {}, most {}\n",
             figure_text(latency.mean), figure_text(latency.half_width_95),
             figure_text(latency.p50), figure_text(latency.p95), figure_text(latency.p99),
             figure_text(latency.most));
  if (cpu)
    fmt::print("the server's CPU: {:.2f} s, of it {:.2f} s outside the model ({:.1f} %)\n",
               cpu->total_s, cpu->total_s - cpu->compute_s,
               100 * (cpu->total_s - cpu->compute_s) / cpu->total_s);
}

void run(LoadCommand c) {
  if (c.features.empty() && c.edge.empty())
    throw ConfigError("[load] give --features FILE, or --edge and --cloud-model with --data");
  if (!c.edge.empty() && (c.cloud.empty() || c.data.empty()))
    throw ConfigError("[load] recording with --edge needs --cloud-model and --data");
  if (c.url.empty() && c.cloud.empty())
    throw ConfigError("[load] give --url of a running cloud, or --cloud-model to start one");
  const RecordedFeatures recorded = features_for(c);
  std::optional<CloudProgram> cloud;
  if (c.url.empty()) {
    cloud.emplace(ProgramOptions{.bin = c.bin,
                                 .work = std::filesystem::temp_directory_path() /
                                         fmt::format("branchy-load-{}", ::getpid()),
                                 .cloud_cpus = c.cloud_cpus,
                                 .threads = c.threads},
                  c.cloud, c.cloud_options);
    c.url = loopback_url(cloud->port());
  }
  c.load.url = parse_http_url(c.url);
  const auto ms = [](double s) { return std::chrono::milliseconds(static_cast<int>(s * 1e3)); };
  c.load.duration = ms(c.seconds);
  c.load.timeout = ms(c.timeout_s);
  c.load.patience = ms(c.patience_s);
  if (!c.token_file.empty()) {
    const std::string text = file_text(c.token_file);
    const std::string token = text.substr(0, text.find_first_of("\r\n"));
    if (token.empty())
      throw ConfigError(fmt::format("[load] --token-file {} holds no token", c.token_file));
    c.load.headers.emplace_back("Authorization", "Bearer " + token);
  }
  std::optional<CpuUse> before, used;
  if (cloud) before = cpu_use(*cloud);
  LoadGenerator generator(recorded, c.load);
  const LoadReport report = generator.finish();
  if (cloud) {
    const CpuUse after = cpu_use(*cloud);
    used = {after.total_s - before->total_s, after.compute_s - before->compute_s};
  }
  print(report, used);
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["connections"] = c.load.connections;
  json["rows"] = c.load.rows;
  json["rate"] = c.load.rate;
  json["features"] = recorded.size();
  json["model"] = recorded.model;
  json["cloud_options"] = c.cloud_options;
  json["cloud_cpus"] = c.cloud_cpus;
  json["load"] = to_json(report);
  if (used) {
    json["cloud_cpu_seconds"] = used->total_s;
    json["cloud_compute_cpu_seconds"] = used->compute_s;
    json["cloud_share_outside_the_model"] = 1 - used->compute_s / used->total_s;
    json["cloud_peak_bytes"] = cloud->process().peak_bytes();
  }
  if (!c.out.empty()) write_file_atomically(c.out, json.dump(2) + "\n");
  if (report.wrong + report.lost > 0)
    throw DataError(fmt::format("[load] {} wrong and {} lost answers, expected none", report.wrong,
                                report.lost));
}

}  // namespace

void add_load_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "load",
      "Send recorded features to a cloud over many kept-alive connections and check every answer: "
      "id, exit, class and logits; latency, throughput, errors by kind, the cloud's CPU time");
  const auto command = std::make_shared<LoadCommand>();
  verb->add_option("--features", command->features,
                   "Recorded features: read, or with --edge written, for the next time");
  verb->add_option("--edge", command->edge, "Record: the edge file of `branchy export`");
  verb->add_option("--cloud-model", command->cloud,
                   "The cloud file: for recording, and without --url to start a branchy-cloud");
  verb->add_option("--data", command->data, "Record: cifar10:DIR, cifar100:DIR or folder:DIR");
  verb->add_option("--cache", command->cache, "Record, folder: keep decoded images here");
  verb->add_option("--record", command->record, "Record: so many test images")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  verb->add_option("--url", command->url, "A running cloud, http://ADDRESS:PORT");
  verb->add_option("--cloud-option", command->cloud_options,
                   "For the cloud that is started here, e.g. --cloud-option=--workers=2")
      ->allow_extra_args(false);
  verb->add_option("--cloud-cpus", command->cloud_cpus, "CPUs of the cloud that is started here")
      ->delimiter(',');
  verb->add_option("--threads", command->threads, "Its computing threads")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb->add_option("--bin", command->bin, "Folder of the programs (default: that of this one)");
  verb->add_option("--connections", command->load.connections, "Kept-alive connections")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str();
  verb->add_option("--rows", command->load.rows, "Features of a request")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  verb->add_option("--rate", command->load.rate,
                   "Requests a second in all, due whether or not the ones before are answered; 0: "
                   "each connection sends when it has its answer")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--seconds", command->seconds, "Time of sending")
      ->check(CLI::Range(0.01, 1e6))
      ->capture_default_str();
  verb->add_option("--limit", command->load.limit, "Stop after so many requests (0: none)")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--timeout-s", command->timeout_s, "Longest wait for an answer")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  verb->add_option("--patience-s", command->patience_s,
                   "Send a request again after an error until it is so old (0: never)")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  verb->add_option("--token-file", command->token_file, "Bearer token sent with each request");
  verb->add_option("--out", command->out, "Write the figures to this JSON file");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
