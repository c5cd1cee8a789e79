#include "experiments/policy_agreement.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "data/loader.h"
#include "infer/policies/policy_text.h"
#include "infer/policy_runner.h"
#include "train/checkpoint.h"
#include "train/image_flags.h"
#include "train/interrupt.h"
#include "train/logits_inference.h"
#include "train/policy_simulation.h"
#include "train/progress.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct PolicyAgreementCommand {
  std::string model, logits, out;
  ImageFlags images;
  std::vector<std::string> policies{"max-probability:0.9"};
  std::vector<std::int64_t> batches{1, 64};
  std::int64_t threads = 0;
};

/// How many samples agree, out of how many, and in what the others differ.
struct Agreement {
  std::int64_t samples = 0, agree = 0, exit = 0, label = 0, operations = 0;
  double mean_device_operations = 0.0, mean_total_operations = 0.0;  ///< executed
  double seconds = 0.0;

  void add(const SampleOutcome& executed, const SampleOutcome& simulated) {
    ++samples;
    mean_device_operations += static_cast<double>(executed.device_operations);
    mean_total_operations += static_cast<double>(executed.total_operations);
    const bool same_exit = executed.exit == simulated.exit &&
                           executed.dropped == simulated.dropped &&
                           executed.computed == simulated.computed;
    const bool same_label = executed.answer.label == simulated.answer.label &&
                            executed.answer.exit == simulated.answer.exit;
    const bool same_operations = executed.device_operations == simulated.device_operations &&
                                 executed.total_operations == simulated.total_operations &&
                                 executed.bytes_sent == simulated.bytes_sent;
    exit += same_exit ? 0 : 1;
    label += same_label ? 0 : 1;
    operations += same_operations ? 0 : 1;
    agree += same_exit && same_label && same_operations ? 1 : 0;
  }
};

void stop_if_interrupted() {
  if (Interrupt::requested()) throw CLI::RuntimeError(kInterruptedExitCode);
}

LogitsCache logits_of(const PolicyAgreementCommand& c, const LoadedModel& model,
                      const std::shared_ptr<const Dataset>& images) {
  if (!c.logits.empty()) {
    LogitsCache cache = load_logits(c.logits);
    require_same_model(cache, c.logits, model);
    if (cache.part != c.images.split || cache.data_checksum != images->checksum() ||
        cache.num_samples() != images->size())
      throw DataError(
          fmt::format("[{}] holds the logits of {} ({}), expected those of {} ({}); run `branchy "
                      "infer-all` again",
                      c.logits, cache.data, cache.part, c.images.data, c.images.split));
    return cache;
  }
  Progress bar("infer-all");
  LogitsCache cache = infer_logits(
      model, images, {.data = c.images.data, .part = c.images.split, .progress = [&](double share) {
                        bar.update(share, "logits of all exits");
                        return !Interrupt::requested();
                      }});
  stop_if_interrupted();
  return cache;
}

Agreement compare(PolicyRunner& runner, const ExitPolicy& policy,
                  const std::vector<SampleOutcome>& simulated,
                  const std::shared_ptr<const Dataset>& images, const LoaderOptions& options) {
  Progress bar(fmt::format("batch {}", options.batch));
  Loader loader(images, options);
  Agreement agreement;
  const auto begin = std::chrono::steady_clock::now();
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    const auto executed = runner.run(batch->images, policy);
    for (std::size_t i = 0; i < executed.size(); ++i)
      agreement.add(executed[i], simulated[static_cast<std::size_t>(batch->indices[i])]);
    bar.update(static_cast<double>(agreement.samples) / static_cast<double>(images->size()),
               policy.text());
    stop_if_interrupted();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  agreement.seconds = seconds.count();
  agreement.mean_device_operations /= static_cast<double>(agreement.samples);
  agreement.mean_total_operations /= static_cast<double>(agreement.samples);
  return agreement;
}

ordered_json to_json(const Agreement& a, const std::string& policy, std::int64_t batch) {
  return {{"policy", policy},
          {"batch", batch},
          {"samples", a.samples},
          {"agree", a.agree},
          {"differ_in_exit", a.exit},
          {"differ_in_class", a.label},
          {"differ_in_operations", a.operations},
          {"mean_device_operations", a.mean_device_operations},
          {"mean_total_operations", a.mean_total_operations},
          {"convention", "ptflops"},
          {"seconds", a.seconds}};
}

void write_json(const PolicyAgreementCommand& c, const ordered_json& results) {
  if (c.out.empty()) return;
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["model"] = c.model;
  json["data"] = c.images.data;
  json["split"] = c.images.split;
  json["results"] = results;
  write_file_atomically(c.out, json.dump(2) + "\n");
}

void run(const PolicyAgreementCommand& c) {
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  const LoadedModel model = load_trained(c.model);
  std::vector<PolicyPtr> policies;
  policies.reserve(c.policies.size());
  for (const std::string& text : c.policies)
    policies.push_back(parse_policy(text, model.network->num_exits(), model.info.records));
  const auto images = open_flagged_images(c.images, model);
  const Interrupt interrupt;
  const LogitsCache cache = logits_of(c, model, images);
  const StoredExits stored(cache, model.info.temperatures);
  PolicyRunner runner(Plan::lower(*model.network, model.network->whole(), int8_ranges(model.info)),
                      {.costs = cache.costs,
                       .temperatures = model.info.temperatures,
                       .scores = attached_scores(model)});
  const Normalization normalization{model.info.mean, model.info.std};
  ordered_json results;
  std::int64_t differ = 0;
  for (const PolicyPtr& policy : policies) {
    const auto simulated = simulate_policy(stored, *policy);
    for (const std::int64_t batch : c.batches) {
      const Agreement a = compare(runner, *policy, simulated, images,
                                  {.batch = batch, .normalization = normalization});
      results.push_back(to_json(a, policy->text(), batch));
      differ += a.samples - a.agree;
      fmt::print(
          "{}, batch {}: {} of {} samples agree ({} differ in exit, {} in class, {} in "
          "operations); executed {:.2f} M on the device, {:.2f} M in all, {:.1f} s\n",
          policy->text(), batch, a.agree, a.samples, a.exit, a.label, a.operations,
          a.mean_device_operations / 1e6, a.mean_total_operations / 1e6, a.seconds);
    }
  }
  write_json(c, results);
  if (differ > 0)
    throw DataError(
        fmt::format("[policy-agreement] {} executed samples differ from the "
                    "simulation, expected none",
                    differ));
}

}  // namespace

void add_policy_agreement_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "policy-agreement",
      "Execute exit policies over a data set and compare every sample with the simulation on "
      "stored logits: exit, class, computed exits, operations");
  const auto command = std::make_shared<PolicyAgreementCommand>();
  verb->add_option("model", command->model, "Run folder or model file")->required();
  add_image_flags(*verb, command->images);
  verb->add_option("--policy", command->policies,
                   "Policies that can be executed: " + policy_usage())
      ->capture_default_str();
  verb->add_option("--batch", command->batches, "Images at a time, one run for each")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  verb->add_option("--logits", command->logits,
                   "File of branchy infer-all for the same model and images (default: computed)");
  verb->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--out", command->out, "Write the results to this JSON file");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
