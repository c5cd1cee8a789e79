#include "core/dnn/convolution_timing.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "core/dnn/channel_blocks.h"
#include "core/dnn/convolution.h"
#include "core/dnn/convolution_table.h"
#include "core/error.h"
#include "core/rng.h"

namespace branchy::dnn {

namespace {

Tensor random_tensor(const Shape& shape, Rng& rng) {
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = rng.normal();
  return tensor;
}

Shape weights_shape(const ConvolutionSpec& s) {
  if (s.transposed) return {s.src[1], s.out, s.kernel, s.kernel};
  return {s.out, s.src[1] / s.groups, s.kernel, s.kernel};
}

/// The first layer's images come row-major; everything else lies in blocks.
Tensor as_between_layers(const Tensor& tensor) {
  constexpr std::int64_t kImageChannels = 3;
  return tensor.dim(1) <= kImageChannels ? tensor : in_channel_blocks(tensor);
}

/// Puts a table in use that has one method for all passes of a convolution; the old one again at
/// the end.
class TableOfOne {
 public:
  TableOfOne(const ConvolutionSpec& spec, ConvolutionMethod method) : before_(convolution_table()) {
    auto table = std::make_shared<ConvolutionTable>();
    for (const ConvolutionPass pass : {ConvolutionPass::kForward, ConvolutionPass::kBackwardData,
                                       ConvolutionPass::kBackwardWeights})
      table->set(convolution_name(spec, pass), method);
    use_convolution_table(std::move(table));
  }
  ~TableOfOne() { use_convolution_table(before_); }
  TableOfOne(const TableOfOne&) = delete;
  TableOfOne& operator=(const TableOfOne&) = delete;

 private:
  std::shared_ptr<const ConvolutionTable> before_;
};

/// One convolution with its operands.
class Subject {
 public:
  explicit Subject(const ConvolutionSpec& spec) {
    Rng rng(1);
    src_ = as_between_layers(random_tensor(spec.src, rng));
    diff_ = as_between_layers(random_tensor(convolution_dst(spec), rng));
    weights_ = random_tensor(weights_shape(spec), rng);
    if (spec.bias) bias_ = random_tensor(Shape{spec.out}, rng);
  }

  double run_ms(Convolution& convolution, ConvolutionPass pass) {
    weights_.mutable_data()[0] += 1e-3F;  // packed again in each step of training, so here too
    const auto start = std::chrono::steady_clock::now();
    if (pass == ConvolutionPass::kForward)
      static_cast<void>(convolution.forward(src_, weights_, bias_));
    else if (pass == ConvolutionPass::kBackwardData)
      static_cast<void>(convolution.backward_data(diff_, weights_));
    else
      static_cast<void>(convolution.backward_weights(src_, diff_));
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  }

 private:
  Tensor src_, diff_, weights_, bias_;
};

struct Candidate {
  ConvolutionMethod method;
  Convolution convolution;
  std::vector<double> ms;
};

}  // namespace

std::vector<MethodTime> time_convolution(const ConvolutionSpec& spec, ConvolutionPass pass,
                                         std::int64_t rounds) {
  BRANCHY_DCHECK(rounds > 0);
  if (forced_convolution_method())
    throw ConfigError("[tune] BRANCHY_CONV forces one method; unset it to compare them");
  std::vector<Candidate> candidates;
  for (const ConvolutionMethod method : applicable_methods(spec)) {
    const TableOfOne table(spec, method);
    candidates.push_back({method, Convolution(spec), {}});
  }
  Subject subject(spec);
  for (std::int64_t round = -1; round < rounds; ++round)
    for (Candidate& candidate : candidates) {
      const double ms = subject.run_ms(candidate.convolution, pass);
      if (round >= 0) candidate.ms.push_back(ms);
    }
  std::vector<MethodTime> times;
  for (Candidate& candidate : candidates) {
    const auto middle = candidate.ms.begin() + std::ssize(candidate.ms) / 2;
    std::nth_element(candidate.ms.begin(), middle, candidate.ms.end());
    times.push_back({candidate.method, *middle});
  }
  return times;
}

MethodTime fastest_method(const std::vector<MethodTime>& times) {
  constexpr double kClearly = 0.97;
  const auto fastest =
      std::min_element(times.begin(), times.end(),
                       [](const MethodTime& a, const MethodTime& b) { return a.ms < b.ms; });
  for (const MethodTime& time : times)
    if (time.method == ConvolutionMethod::kDirect && fastest->ms > kClearly * time.ms) return time;
  return *fastest;
}

}  // namespace branchy::dnn
