// EvaluationDump: the inputs and logits of an evaluation as safetensors, to compare with others.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/loader.h"
#include "infer/exit_runner.h"

namespace branchy {

/// Collects batches in memory and writes them at the end; an empty path leaves that part out.
class EvaluationDump {
 public:
  /// `logits_path` gets `logits.K` [N,classes] of each exit K, `inputs_path` gets `inputs`
  /// [N,C,H,W]: the images as the network takes them, resized, cropped and normalised.
  EvaluationDump(std::filesystem::path logits_path, std::filesystem::path inputs_path);

  void add(const Batch& batch);
  void add(const ExitOutput& output);
  void write() const;

 private:
  /// Values of one tensor, row after row.
  struct Rows {
    Shape shape;  ///< of the first batch
    std::vector<float> values;
    void append(const Tensor& tensor);
  };
  using Tensors = std::map<std::string, Rows>;
  static void write(const std::filesystem::path& path, const Tensors& tensors);

  std::filesystem::path logits_path_, inputs_path_;
  Tensors logits_, inputs_;
};

}  // namespace branchy
