#include "train/run_result.h"

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/provenance.h"
#include "infer/process_memory.h"

namespace branchy {

void write_run_result(const TrainOptions& options, const TrainingProgress& progress,
                      const DataRecord& data, const ValidationResult& test) {
  nlohmann::ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["configuration"] = to_toml(options);
  json["seed"] = options.seed;
  json["data_checksum"] = data.checksum;
  if (!data.split.empty()) json["data_split"] = data.split;
  json["epochs"] = progress.epoch;
  json["steps"] = progress.step;
  json["training_seconds"] = progress.seconds;
  json["peak_resident_bytes"] = process_memory().peak_bytes;
  json["test_loss"] = test.loss;
  json["test_accuracy"] = test.accuracy;
  write_file_atomically(options.out / "result.json", json.dump(2) + "\n");
}

}  // namespace branchy
