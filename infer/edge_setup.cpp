#include "infer/edge_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/threads.h"
#include "infer/bearer_token.h"
#include "infer/policies/fixed.h"
#include "infer/policies/policy_text.h"
#include "infer/policy_choice.h"
#include "infer/threshold_list.h"

namespace branchy {
namespace {

using std::chrono::milliseconds;
using Warn = std::function<void(const std::string&)>;

bool sends_codes(const ServedModel& model, const EdgeCommandOptions& options) {
  return !options.cloud_only && !options.no_codec &&
         model.attachment(kCodecAttachment) != nullptr && model.feature_shape.has_value();
}

void check_served(const ModelDescription& served, const ServedModel& model,
                  const EdgeCommandOptions& options) {
  const bool cloud_only = options.cloud_only;
  if (sends_codes(model, options)) {
    const std::string code = code_input_name(model.info.cut);
    if (std::none_of(served.inputs.begin(), served.inputs.end(),
                     [&](const TensorDescription& input) { return input.name == code; })) {
      throw ConfigError(fmt::format(
          "[cloud] its model '{}' takes no input '{}'; serve the cloud file of the same export, or "
          "give --no-codec",
          served.name, code));
    }
  }
  const std::string name = cloud_only ? "image" : feature_input_name(model.info.cut);
  const Shape shape = cloud_only ? *model.image_shape : model.feature_shape.value_or(Shape());
  const std::span<const std::int64_t> dims = shape.dims();
  for (const TensorDescription& input : served.inputs) {
    if (input.name != name) continue;
    if (input.shape.size() == dims.size() && !dims.empty() &&
        std::equal(dims.begin() + 1, dims.end(), input.shape.begin() + 1)) {
      return;
    }
  }
  throw ConfigError(fmt::format(
      "[cloud] its model '{}' takes no input '{}' of shape {}; serve the "
      "cloud file of the same export{}",
      served.name, name, shape.to_string(), cloud_only ? ", made without --suffix-only" : ""));
}

// A cloud that is away is no error, one that serves another model is.
std::unique_ptr<CloudLink> make_link(const EdgeCommandOptions& options, const ServedModel& model,
                                     const Warn& warn) {
  // A whole network without a cut needs nobody.
  if (options.cloud.empty() || (model.info.cut.empty() && !options.cloud_only)) return nullptr;
  CloudLinkOptions link;
  link.client.url = parse_http_url(options.cloud);
  link.client.model = cloud_model_for(model);
  link.client.timeout = milliseconds(options.timeout_ms);
  link.client.connections = static_cast<std::size_t>(options.in_flight);
  link.client.http.ca_file = options.cloud_ca;
  link.retries = options.retries;
  link.seed = options.seed;
  if (!options.cloud_token_file.empty())
    link.client.http.bearer_token = read_bearer_token(options.cloud_token_file);
  auto cloud = std::make_unique<CloudLink>(std::move(link), warn);
  const Result<ModelDescription> served = cloud->describe();
  if (!served) {
    warn(served.failure().text + "; will try again when it is needed");
  } else {
    check_served(*served, model, options);
    if (options.adapt) cloud->probe();
  }
  return cloud;
}

PolicyPtr with_active_exits(const PolicyPtr& policy, std::string exits, const ModelInfo& info) {
  std::replace(exits.begin(), exits.end(), ',', '+');
  return parse_policy(fmt::format("{},active={}", policy->text(), exits),
                      info.config.early_exits + 1, info.records);
}

PolicyPtr wished_policy(const EdgeCommandOptions& options, const ModelInfo& info,
                        const Warn& warn) {
  const bool has_wish = !options.policy.empty() || !options.thresholds.empty();
  // Without a policy no early exit answers but as the last resort.
  if (options.cloud_only && !has_wish)
    return std::make_shared<FixedPolicy>(info.config.early_exits + 1);
  PolicyPtr policy =
      choose_policy({.policy = options.policy, .thresholds = options.thresholds}, info, warn);
  return options.active_exits.empty() ? policy
                                      : with_active_exits(policy, options.active_exits, info);
}

}  // namespace

void check_edge_options(const EdgeCommandOptions& options) {
  if (!options.measure.empty()) return;
  const int num_sources = (options.data.empty() ? 0 : 1) + (options.files.empty() ? 0 : 1) +
                          (options.watch.empty() ? 0 : 1);
  const bool listens = !options.listen.address.empty();
  if (num_sources > 1 || (num_sources == 0 && !listens)) {
    throw ConfigError("[edge] give one of --data, --watch or image files, or --listen");
  }
  if (num_sources == 0 && !options.out.empty()) {
    throw ConfigError("[edge] --out is for --data, --watch or image files");
  }
  check_edge_listen_options(options.listen);
  if (options.cloud_only && options.cloud.empty()) {
    throw ConfigError("[edge] --cloud-only needs --cloud URL");
  }
  if (options.adapt && options.cloud.empty()) {
    throw ConfigError("[edge] --adapt needs --cloud URL");
  }
  // Wrong usage is told before anything is loaded.
  if (!options.thresholds.empty()) (void)parse_thresholds(options.thresholds);
  if (!options.cloud.empty()) (void)parse_http_url(options.cloud);
}

std::unique_ptr<EdgePipeline> make_edge_pipeline(const EdgeCommandOptions& options,
                                                 ServedModel model, const Warn& warn) {
  EdgePipelineOptions pipeline{
      .engine = {.policy = nullptr,
                 .cloud_only = options.cloud_only,
                 .use_codec = sends_codes(model, options)},
      .threads = options.threads > 0 ? options.threads : num_available_cpus(),
      .queue = static_cast<std::size_t>(options.queue),
      .deadline = milliseconds(options.deadline_ms),
      .measures_link = !options.listen.address.empty()};
  if (options.hedge_ms >= 0) {
    if (model.info.cut.empty() || model.plan->part().last_exit != model.info.config.early_exits + 1)
      throw ConfigError(
          "[edge] --hedge-ms needs the network behind the cut; export with --full-edge");
    pipeline.hedge = milliseconds(options.hedge_ms);
  }
  if (options.adapt) {
    std::optional<double> bits_per_second;
    if (options.bandwidth_mbit != 0) bits_per_second = 1e6 * options.bandwidth_mbit;
    pipeline.follower.emplace(model.info, bits_per_second);
    pipeline.engine.policy = pipeline.follower->policy(bits_per_second);
  } else {
    pipeline.engine.policy = wished_policy(options, model.info, warn);
  }
  std::unique_ptr<CloudLink> link = make_link(options, model, warn);
  return std::make_unique<EdgePipeline>(std::move(model), std::move(link), std::move(pipeline));
}

}  // namespace branchy
