#include "train/evaluation_dump.h"

#include <fmt/core.h>

#include <utility>

#include "core/safetensors.h"

namespace branchy {

EvaluationDump::EvaluationDump(std::filesystem::path logits_path, std::filesystem::path inputs_path)
    : logits_path_(std::move(logits_path)), inputs_path_(std::move(inputs_path)) {}

void EvaluationDump::Rows::append(const Tensor& tensor) {
  if (values.empty()) shape = tensor.shape();
  const auto rows = tensor.data();
  values.insert(values.end(), rows.begin(), rows.end());
}

void EvaluationDump::add(const Batch& batch) {
  if (!inputs_path_.empty()) inputs_["inputs"].append(batch.images);
}

void EvaluationDump::add(const ExitOutput& output) {
  if (!logits_path_.empty()) logits_[fmt::format("logits.{}", output.exit)].append(output.logits);
}

void EvaluationDump::write() const {
  write(logits_path_, logits_);
  write(inputs_path_, inputs_);
}

void EvaluationDump::write(const std::filesystem::path& path, const Tensors& tensors) {
  if (path.empty()) return;
  std::map<std::string, Tensor> whole;
  for (const auto& [name, rows] : tensors) {
    const std::int64_t count = std::ssize(rows.values) / rows.shape.with_batch(1).size();
    whole.emplace(name, Tensor::from(rows.shape.with_batch(count), rows.values));
  }
  write_safetensors(path, whole, {{"format", "pt"}});
}

}  // namespace branchy
