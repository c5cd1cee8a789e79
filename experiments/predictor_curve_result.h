// The points of the predictor's curve as text, CSV, JSON and plot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/predictor_evaluation.h"

namespace branchy {

/// An exit predictor at one threshold, judged on the images that chose gamma and on the test set.
struct CurvePredictor {
  std::string kind, labels;  ///< "ours", "train"
  float lambda = 0.0F;
  std::int64_t operations = 0;  ///< of the predictor, ptflops
  std::string training;
  std::vector<float> gamma;
  PredictorEvaluation selection, test;

  [[nodiscard]] bool keeps_promise() const {
    return selection.keeps_promise() && test.keeps_promise();
  }
};

/// A curve without a predictor, on the test set: of the network itself, its oracle, another
/// network.
struct CurveReference {
  std::string name;
  std::vector<float> lambdas;
  std::vector<PolicyOutcome> outcomes;
};

struct PredictorCurve {
  std::string model, data;
  double max_growth = kGammaGrowth;
  std::vector<CurvePredictor> predictors;
  std::vector<CurveReference> references;
};

[[nodiscard]] std::string to_text(const PredictorCurve& curve);
/// One row a point and set of images.
[[nodiscard]] std::string to_csv(const PredictorCurve& curve);
/// Begins with provenance().
[[nodiscard]] std::string to_json(const PredictorCurve& curve);
/// Writes curve.txt, curve.csv, curve.json and, with a gnuplot at hand, curve.svg into `folder`.
void write_curve(const PredictorCurve& curve, const std::filesystem::path& folder);

}  // namespace branchy
