#include "infer/request_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "core/printable.h"

namespace branchy {

namespace {

void check_shape(const WireTensor& input, const TensorDescription& expected) {
  bool fits = input.shape.size() == expected.shape.size();
  for (std::size_t i = 0; fits && i < input.shape.size(); ++i) {
    fits = expected.shape[i] < 0 ? input.shape[i] > 0 : input.shape[i] == expected.shape[i];
  }
  if (!fits || input.datatype != expected.datatype) {
    throw HttpError(400, fmt::format("[input {}] came as {} {}, the model expects {} {}",
                                     printable(input.name), input.datatype, shape_text(input.shape),
                                     expected.datatype, shape_text(expected.shape)));
  }
}

// The inputs of which a request needs one, then in brackets those that may come with it.
std::string input_names(const ModelDescription& model) {
  std::string names;
  for (const TensorDescription& one : model.inputs) {
    names += one.optional ? fmt::format(" [{}]", one.name) : " " + one.name;
  }
  return names;
}

}  // namespace

void check_inputs(const InferRequest& request, const ModelDescription& model) {
  const WireTensor* main = nullptr;
  for (const WireTensor& input : request.inputs) {
    const auto expected =
        std::find_if(model.inputs.begin(), model.inputs.end(),
                     [&](const TensorDescription& one) { return one.name == input.name; });
    if (expected == model.inputs.end()) {
      throw HttpError(400, fmt::format("[input {}] is unknown; the model takes:{}",
                                       printable(input.name), input_names(model)));
    }
    check_shape(input, *expected);
    if (expected->optional) continue;
    if (main != nullptr) {
      throw HttpError(400, fmt::format("request has the inputs {} and {}, expected one of them",
                                       main->name, input.name));
    }
    main = &input;
  }
  if (main == nullptr) {
    throw HttpError(400,
                    fmt::format("request has none of the model's inputs:{}", input_names(model)));
  }
  for (const WireTensor& input : request.inputs) {
    if (input.shape.front() != main->shape.front()) {
      throw HttpError(400, fmt::format("[input {}] has {} rows, [input {}] {}", input.name,
                                       input.shape.front(), main->name, main->shape.front()));
    }
  }
}

void check_outputs(const InferRequest& request, const ModelDescription& model) {
  for (const RequestedOutput& wanted : request.outputs) {
    const auto found =
        std::find_if(model.outputs.begin(), model.outputs.end(),
                     [&](const TensorDescription& one) { return one.name == wanted.name; });
    if (found == model.outputs.end()) {
      std::string names;
      for (const TensorDescription& one : model.outputs) names += " " + one.name;
      throw HttpError(400, fmt::format("output '{}' does not exist; the model has:{}",
                                       printable(wanted.name), names));
    }
    if (wanted.classification > 0 && (found->datatype != "FP32" || found->shape.size() != 2)) {
      throw HttpError(400, fmt::format("[output {}] is {} {}, \"classification\" needs FP32 [rows, "
                                       "classes]",
                                       found->name, found->datatype, shape_text(found->shape)));
    }
  }
}

const WireTensor& main_input(const InferRequest& request, const ModelDescription& model) {
  for (const WireTensor& input : request.inputs) {
    for (const TensorDescription& one : model.inputs)
      if (one.name == input.name && !one.optional) return input;
  }
  throw HttpError(400,
                  fmt::format("request has none of the model's inputs:{}", input_names(model)));
}

}  // namespace branchy
