// Runs branchy-edge and branchy-cloud over a data set and compares every image with one process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/split_programs.h"
#include "train/image_flags.h"

namespace branchy {

struct SplitAgreementOptions {
  std::string model;  ///< run folder or model file
  ImageFlags images;
  std::vector<std::string> policies;
  std::int64_t limit = 0;       ///< only the first images; 0: all
  std::int64_t in_flight = 16;  ///< of each edge, where batches are dynamic
  std::int64_t edges = 2;       ///< at the same time, there
  bool no_codec = false;        ///< send float32 though the model has a codec
  ProgramOptions programs;
  std::string out;  ///< JSON
};

/// For each policy: one image at a time, then several edges with several images each on the way to
/// a cloud that batches. Prints a line each, and each exception. Throws DataError when an answer
/// differs in exit or class from the simulation on logits of one process, unless a confidence lies
/// within 1e-5 of a number of the policy.
void run_split_agreement(SplitAgreementOptions options);

}  // namespace branchy
