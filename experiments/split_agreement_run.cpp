#include "experiments/split_agreement_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/printable.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "experiments/expected_answers.h"
#include "experiments/metrics_text.h"
#include "infer/policies/policy_text.h"
#include "train/checkpoint.h"
#include "train/logits_inference.h"
#include "train/policy_simulation.h"

namespace branchy {
namespace {

using nlohmann::ordered_json;

// As the edge's lines: the answer's exit and class.
struct RunMode {
  std::string name;
  std::vector<std::string> edge_options, cloud_options;
  std::int64_t edges = 1;
};

struct Agreement {
  std::string policy, mode;
  std::int64_t images = 0, agree = 0, border = 0, differ = 0, degraded = 0, from_cloud = 0;
  double largest = 0;  ///< difference in the confidence of those that agree
  double rows_in_batch = 0;
  std::vector<std::string> exceptions = {};
};

// The numbers of a policy's text before its options: "p-tar:0.8,active=1+2" has 0.8.
std::vector<double> numbers_of(const std::string& policy) {
  std::vector<double> numbers;
  const std::size_t colon = policy.find(':');
  if (colon == std::string::npos) return numbers;
  const std::string text = policy.substr(colon + 1, policy.find(',') - colon - 1);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('+', at), text.size());
    numbers.push_back(std::strtod(text.substr(at, end - at).c_str(), nullptr));
    at = end + 1;
  }
  return numbers;
}

double nearest_threshold(const StoredExits& exits, std::int64_t sample,
                         const std::vector<double>& numbers) {
  double nearest = std::numeric_limits<double>::infinity();
  for (const ExitView& view : exits.views(sample))
    for (const double number : numbers)
      nearest =
          std::min(nearest, std::abs(static_cast<double>(view.prediction.confidence) - number));
  return nearest;
}

void compare(const EdgeLine& line, const SampleOutcome& expected, double distance,
             Agreement& agreement) {
  constexpr double kBorder = 1e-5;
  ++agreement.images;
  agreement.degraded += line.degraded ? 1 : 0;
  agreement.from_cloud += line.from_cloud ? 1 : 0;
  if (!line.degraded && line.exit == expected.answer.exit && line.label == expected.answer.label) {
    ++agreement.agree;
    agreement.largest =
        std::max(agreement.largest,
                 std::abs(line.confidence - static_cast<double>(expected.answer.confidence)));
    return;
  }
  ++(distance <= kBorder ? agreement.border : agreement.differ);
  agreement.exceptions.push_back(fmt::format(
      "image {}: exit {} class {}, expected exit {} class {}; {:.1e} from a threshold{}",
      line.index, line.exit, line.label, expected.answer.exit, expected.answer.label, distance,
      line.degraded ? ", degraded" : ""));
}

class AgreementBench {
 public:
  explicit AgreementBench(SplitAgreementOptions options)
      : o_(std::move(options)), model_(load_trained(o_.model)) {
    std::shared_ptr<const Dataset> images = open_flagged_images(o_.images, model_);
    if (o_.limit > 0 && o_.limit < images->size()) {
      std::vector<std::int64_t> first(static_cast<std::size_t>(o_.limit));
      std::iota(first.begin(), first.end(), 0);
      images = std::make_shared<Subset>(images, first);
    }
    count_ = images->size();
    checksum_ = images->checksum();
    const LogitsCache cache = infer_logits(
        model_, images, {.data = o_.images.data, .part = o_.images.split, .coded = !o_.no_codec});
    exits_ = std::make_unique<StoredExits>(cache, model_.info.temperatures);
    run_to_end({.command = {program_path("branchy", o_.programs.bin).string(), "export", o_.model,
                            "--out", o_.programs.work.string()},
                .log = o_.programs.work / "export.log"});
  }

  [[nodiscard]] Agreement run(const std::string& text, const RunMode& mode) const {
    const PolicyPtr policy = parse_policy(text, exits_->num_exits(), model_.info.records);
    const std::vector<SampleOutcome> expected = simulate_policy(*exits_, *policy);
    CloudProgram cloud(o_.programs, o_.programs.work / "cloud.safetensors", mode.cloud_options);
    std::vector<std::string> options{"--cloud",      loopback_url(cloud.port()),
                                     "--data",       o_.images.data,
                                     "--split",      o_.images.split,
                                     "--limit",      std::to_string(count_),
                                     "--policy",     text,
                                     "--timeout-ms", "60000"};
    if (!o_.images.cache.empty()) options.insert(options.end(), {"--cache", o_.images.cache});
    if (o_.no_codec) options.emplace_back("--no-codec");
    options.insert(options.end(), mode.edge_options.begin(), mode.edge_options.end());
    std::vector<std::unique_ptr<ChildProgram>> edges;
    for (std::int64_t i = 0; i < mode.edges; ++i)
      edges.push_back(start_edge(o_.programs, fmt::format("edge{}", i),
                                 o_.programs.work / "edge.safetensors", options));
    Agreement agreement{.policy = policy->text(), .mode = mode.name};
    const std::vector<double> numbers = numbers_of(policy->text());
    for (std::int64_t i = 0; i < mode.edges; ++i) {
      ChildProgram& edge = *edges[static_cast<std::size_t>(i)];
      if (edge.wait(std::chrono::hours(6)) != 0)
        throw IoError(
            fmt::format("[split-agreement] branchy-edge failed: {}", printable(edge.log())));
      const auto lines =
          parse_edge_lines(file_text(edge_results(o_.programs, fmt::format("edge{}", i))));
      if (std::ssize(lines) != count_)
        throw DataError(
            fmt::format("[split-agreement] {} answers for {} images", lines.size(), count_));
      for (const EdgeLine& line : lines)
        compare(line, expected.at(static_cast<std::size_t>(line.index)),
                nearest_threshold(*exits_, line.index, numbers), agreement);
    }
    const std::string metrics = fetch_metrics(cloud.port());
    agreement.rows_in_batch = metric_sum(metrics, "branchy_batch_rows_sum") /
                              std::max(1.0, metric_sum(metrics, "branchy_batch_rows_count"));
    return agreement;
  }

  [[nodiscard]] ordered_json description() const {
    return {{"model", o_.model},
            {"network", model_.info.config.name},
            {"data", o_.images.data},
            {"split", o_.images.split},
            {"images", count_},
            {"data_checksum", checksum_},
            {"temperatures", model_.info.temperatures},
            {"codec", model_.attachments.contains(std::string(kCodecAttachment)) && !o_.no_codec},
            {"predictor", model_.attachments.contains(std::string(kPredictorAttachment))}};
  }

 private:
  SplitAgreementOptions o_;
  LoadedModel model_;
  std::unique_ptr<StoredExits> exits_;
  std::int64_t count_ = 0;
  std::string checksum_;
};

ordered_json to_json(const Agreement& a) {
  return {{"policy", a.policy},
          {"mode", a.mode},
          {"answers", a.images},
          {"agree", a.agree},
          {"on_the_threshold", a.border},
          {"differ", a.differ},
          {"degraded", a.degraded},
          {"from_the_cloud", a.from_cloud},
          {"largest_difference_in_confidence", a.largest},
          {"mean_rows_of_a_batch", a.rows_in_batch},
          {"exceptions", a.exceptions}};
}

}  // namespace

void run_split_agreement(SplitAgreementOptions options) {
  set_num_threads(options.programs.threads);
  options.programs.work =
      std::filesystem::temp_directory_path() / fmt::format("branchy-agreement-{}", ::getpid());
  std::filesystem::create_directories(options.programs.work);
  const AgreementBench bench(options);
  const std::string in_flight = std::to_string(options.in_flight);
  const std::vector<RunMode> modes{
      {.name = "batch 1", .edge_options = {"--one-by-one"}, .cloud_options = {}, .edges = 1},
      {.name = "dynamic batches",
       .edge_options = {"--in-flight", in_flight, "--queue", in_flight},
       .cloud_options = {"--batch-wait-us", "5000", "--queue", "1000"},
       .edges = options.edges}};
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json.update(bench.description());
  std::int64_t differ = 0;
  for (const std::string& policy : options.policies) {
    for (const RunMode& mode : modes) {
      const Agreement a = bench.run(policy, mode);
      json["results"].push_back(to_json(a));
      differ += a.differ;
      fmt::print(
          "{}, {}: {} of {} answers agree in exit and class, {} on a threshold, {} differ ({} "
          "degraded); {} from the cloud in batches of {:.2f} rows; confidences within {:.1e}\n",
          a.policy, a.mode, a.agree, a.images, a.border, a.differ, a.degraded, a.from_cloud,
          a.rows_in_batch, a.largest);
      for (const std::string& exception : a.exceptions) fmt::print("  {}\n", exception);
      std::fflush(stdout);
    }
  }
  if (!options.out.empty()) write_file_atomically(options.out, json.dump(2) + "\n");
  std::filesystem::remove_all(options.programs.work);
  if (differ > 0)
    throw DataError(fmt::format("[split-agreement] {} answers differ, expected none", differ));
}

}  // namespace branchy
