#include "train/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <sstream>

#include "core/error.h"
#include "core/kernels/sgd_step.h"

namespace branchy {

namespace {

void add_tensor(std::map<std::string, Tensor>& tensors, const std::string& name,
                const Tensor& value) {
  if (!kernels::all_finite(value))
    throw NumericError(fmt::format(
        "[checkpoint] {} is not finite; the last good checkpoint is kept, lower the rate", name));
  tensors.emplace(name, value);
}

template <typename Number>
Number read_number(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  Number number{};
  if (found != file.metadata().end()) {
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
  }
  throw DataError(
      fmt::format("[{}] metadata '{}' is missing or no number; not a checkpoint of training",
                  file.path().string(), key));
}

std::vector<std::int64_t> read_list(const SafetensorsFile& file, const std::string& key) {
  std::vector<std::int64_t> list;
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) return list;
  std::istringstream stream(found->second);
  for (std::int64_t value = 0; stream >> value;) list.push_back(value);
  return list;
}

void check_same_run(const SafetensorsFile& file, const TrainingState& state) {
  const ModelInfo found = parse_model_info(file);
  const ModelInfo& expected = state.info;
  if (!(found.config == expected.config))
    throw DataError(fmt::format(
        "[{}] is a checkpoint of {} with {} classes and {} early exits, this run trains {} with {} "
        "and {}; give another --out or --resume",
        file.path().string(), found.config.name, found.config.classes, found.config.early_exits,
        expected.config.name, expected.config.classes, expected.config.early_exits));
  if (found.val_count != expected.val_count || found.val_seed != expected.val_seed)
    throw DataError(fmt::format("[{}] held out {} images by seed {}, this run {} by seed {}",
                                file.path().string(), found.val_count, found.val_seed,
                                expected.val_count, expected.val_seed));
  if (found.data_split != expected.data_split)
    throw DataError(fmt::format(
        "[{}] was trained on the photographs of split '{}', this run has '{}': the folder has "
        "changed since; put it back as it was, or start another run",
        file.path().string(), found.data_split, expected.data_split));
}

void load_optimizer(const SafetensorsFile& file, Optimizer& optimizer) {
  for (const Optimizer::StateTensor& entry : optimizer.state()) {
    const std::string name = std::string(kOptimizerPrefix) + entry.name;
    if (!file.contains(name))
      throw DataError(fmt::format(
          "[{}] has no {}; the run was trained with another --optimizer or another --freeze",
          file.path().string(), name));
    const Tensor loaded = file.tensor(name);
    if (loaded.shape() != entry.tensor->shape())
      throw DataError(fmt::format("[{}] tensor {} has shape {}, this run expects {}",
                                  file.path().string(), name, loaded.shape().to_string(),
                                  entry.tensor->shape().to_string()));
    entry.tensor->copy_from(loaded);
  }
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const TrainingState& state,
                     const TrainingProgress& p) {
  std::map<std::string, Tensor> tensors;
  for (const StateEntry& entry : state.network->state())
    add_tensor(tensors, entry.name, entry.variable->value());
  if (state.average != nullptr)
    for (const StateEntry& entry : state.average->state())
      add_tensor(tensors, std::string(kAveragePrefix) + entry.name, entry.variable->value());
  for (const Optimizer::StateTensor& entry : state.optimizer->state())
    add_tensor(tensors, std::string(kOptimizerPrefix) + entry.name, *entry.tensor);

  Metadata metadata = to_metadata(state.info);
  const auto put = [&](const char* key, const auto& value) {
    metadata.emplace(key, fmt::format("{}", value));
  };
  put("train.convolutions", state.convolutions);
  put("train.seed", state.seed);
  put("train.epoch", p.epoch);
  put("train.batch_in_epoch", p.batch_in_epoch);
  put("train.step", p.step);
  put("train.best_loss", p.best_loss);
  put("train.best_epoch", p.best_epoch);
  put("train.bad_epochs", p.bad_epochs);
  put("train.loss_sum", p.loss_sum);
  put("train.correct", fmt::format("{}", fmt::join(p.correct, " ")));
  put("train.images", p.images);
  put("train.seconds", p.seconds);
  write_safetensors(path, tensors, metadata);
}

TrainingProgress load_checkpoint(const std::filesystem::path& path, const TrainingState& state) {
  const SafetensorsFile file(path);
  check_same_run(file, state);
  if (read_number<std::uint64_t>(file, "train.seed") != state.seed)
    throw DataError(fmt::format("[{}] was trained with another --seed", path.string()));
  load_state(file, "", state.network->state(), /*exact=*/true);
  if (state.average != nullptr)
    load_state(file, std::string(kAveragePrefix), state.average->state(), /*exact=*/true);
  load_optimizer(file, *state.optimizer);
  return {.epoch = read_number<std::int64_t>(file, "train.epoch"),
          .batch_in_epoch = read_number<std::int64_t>(file, "train.batch_in_epoch"),
          .step = read_number<std::int64_t>(file, "train.step"),
          .best_loss = read_number<double>(file, "train.best_loss"),
          .best_epoch = read_number<std::int64_t>(file, "train.best_epoch"),
          .bad_epochs = read_number<std::int64_t>(file, "train.bad_epochs"),
          .loss_sum = read_number<double>(file, "train.loss_sum"),
          .correct = read_list(file, "train.correct"),
          .images = read_number<std::int64_t>(file, "train.images"),
          .seconds = read_number<double>(file, "train.seconds")};
}

std::shared_ptr<const dnn::ConvolutionTable> checkpoint_convolutions(
    const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const auto found = file.metadata().find("train.convolutions");
  if (found == file.metadata().end()) return nullptr;
  auto table = std::make_shared<dnn::ConvolutionTable>(
      dnn::ConvolutionTable::parse(found->second, path.string()));
  return table->empty() ? nullptr : table;
}

std::filesystem::path trained_file(const std::filesystem::path& run_or_file) {
  if (!std::filesystem::is_directory(run_or_file)) return run_or_file;
  for (const char* name : {"best.safetensors", "last.safetensors"})
    if (std::filesystem::exists(run_or_file / name)) return run_or_file / name;
  throw IoError(fmt::format(
      "[{}] holds neither best.safetensors nor last.safetensors; give a run folder or a model file",
      run_or_file.string()));
}

LoadedModel load_trained(const std::filesystem::path& run_or_file) {
  return load_model(trained_file(run_or_file));
}

}  // namespace branchy
