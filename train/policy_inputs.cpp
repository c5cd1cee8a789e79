#include "train/policy_inputs.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/printable.h"
#include "data/digest.h"
#include "layers/metadata_reader.h"

namespace branchy {

namespace {

/// "cifar10" of "cifar10:DIR".
std::string kind_of(const std::string& data) { return data.substr(0, data.find(':')); }

std::vector<float> temperature_list(std::string_view text, std::int64_t num_exits) {
  std::vector<float> values;
  for (const std::string& word : split_text(std::string(text), ',')) {
    float value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || !(value > 0.0F) ||
        !std::isfinite(value))
      throw ConfigError(
          fmt::format("[temperatures] '{}', expected none, cache, model or positive numbers "
                      "separated by commas",
                      printable(text)));
    values.push_back(value);
  }
  if (std::ssize(values) != num_exits)
    throw ConfigError(fmt::format("[temperatures] {} values for {} exits; give one for each",
                                  values.size(), num_exits));
  return values;
}

}  // namespace

PolicySamples open_policy_samples(const std::filesystem::path& path, const CacheSubset& subset) {
  return {.path = path,
          .digest = file_digest(DigestKind::kSha256, path),
          .subset = subset,
          .cache = take_subset(load_logits(path), subset)};
}

void require_comparable(const PolicySamples& main, const PolicySamples& test) {
  const auto require = [&](bool same, std::string_view what, const std::string& first,
                           const std::string& second) {
    if (!same)
      throw DataError(
          fmt::format("[{}] is of {} {:.60}, {} of {:.60}; give two parts of one data "
                      "set, run through one model",
                      test.path.string(), what, second, main.path.string(), first));
  };
  const LogitsCache& a = main.cache;
  const LogitsCache& b = test.cache;
  require(a.model_digest == b.model_digest, "model", a.model_digest, b.model_digest);
  require(a.predictor_digest == b.predictor_digest, "predictor", a.predictor_digest,
          b.predictor_digest);
  require(kind_of(a.data) == kind_of(b.data) && a.class_names == b.class_names, "data", a.data,
          b.data);
}

void require_same_predictor(const PolicySamples& samples, const LoadedModel& model) {
  const auto predictor = model.attachments.find(std::string(kPredictorAttachment));
  const std::string digest =
      predictor == model.attachments.end() ? "none" : network_digest(*predictor->second.network);
  if (samples.cache.predictor_digest != digest)
    throw DataError(fmt::format(
        "[{}] holds the scores of predictor {:.12}, this model's is {:.12}; run `branchy "
        "infer-all` again",
        samples.path.string(),
        samples.cache.predictor_digest.empty() ? "none" : samples.cache.predictor_digest, digest));
}

std::vector<float> resolve_temperatures(std::string_view text, const LogitsCache& cache,
                                        const LoadedModel* model) {
  if (text.empty()) text = model != nullptr ? "model" : "cache";
  if (text == "model" && model == nullptr)
    throw ConfigError("[temperatures] model, but no MODEL is given");
  std::vector<float> values;
  if (text == "model")
    values = model->info.temperatures;
  else if (text == "cache")
    values = cache.temperatures;
  else if (text != "none")
    return temperature_list(text, cache.num_exits());
  if (values.empty()) values.assign(static_cast<std::size_t>(cache.num_exits()), 1.0F);
  return values;
}

}  // namespace branchy
