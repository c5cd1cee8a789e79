#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "infer/protocol.h"
#include "tests/support/mutation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace branchy {
namespace {

test::Bytes seed(const WireMessage& message) {
  std::string text = message.json_bytes ? std::to_string(*message.json_bytes) : "-";
  text += "\n" + message.body;
  return {text.begin(), text.end()};
}

TEST(ProtocolFuzz, MutatedMessagesAreParsedOrRefused) {
  InferRequest request;
  request.id = "1";
  request.parameters["thresholds"] = std::string("0.5,0.75");
  request.binary_outputs = true;
  request.inputs.push_back(fp32_tensor("x", {1, 2, 2}, std::vector<float>{0, 1, 2, 3}));
  request.inputs.push_back(uint8_tensor("y", {3}, std::vector<std::uint8_t>{1, 2, 3}));
  request.outputs.push_back({"logits", true});
  InferResponse response{"m", "1", "2", {}, {}};
  response.outputs.push_back(fp32_tensor("logits", {1, 2}, std::vector<float>{0.5F, 1}));
  response.outputs.push_back(int32_tensor("exit_index", {1}, std::vector<std::int32_t>{2}));
  const std::string nested =
      R"({"inputs":[{"name":"x","shape":[2,2],"datatype":"INT64","data":[[1,-2],[3,4]]}],)"
      R"("outputs":[{"name":"a","parameters":{"binary_data":false,"k":1.5e3}}]})";
  ModelDescription model{.name = "m", .inputs = {}, .outputs = {}};
  model.inputs.push_back({"image", "UINT8", {-1, 3, 2, 2}});
  InferRequest coded;
  coded.parameters["policy"] = std::string("p-tar:0.8,active=2");
  coded.inputs.push_back(uint8_tensor("code@b1", {1, 5}, std::vector<std::uint8_t>{9, 0, 1, 2, 3}));
  coded.inputs.push_back(int32_tensor("edge_class", {1, 2}, std::vector<std::int32_t>{-1, 3}));
  coded.inputs.push_back(fp32_tensor("edge_confidence", {1, 2}, std::vector<float>{0, 0.5F}));
  InferRequest words;
  words.inputs.push_back(bytes_tensor("b", {2}, std::vector<std::string>{"ab", ""}));
  words.outputs.push_back({"b", false, 3});
  const std::string report = "-\n1=12,2=3";
  const std::vector<test::Bytes> seeds = {
      seed(build_infer_request(words)),
      {report.begin(), report.end()},
      seed(build_infer_request(coded)),
      seed(build_infer_request(request)),
      seed(build_infer_response(response, {})),
      seed(build_infer_response(response, request)),
      seed({nested, std::nullopt}),
      seed({std::string(12, 'x'), 0}),
      seed({model_metadata_json(model), std::nullopt}),
  };
  test::replay_mutations(seeds, 10'000, LLVMFuzzerTestOneInput);
}

TEST(ProtocolFuzz, KeptInputsAreStillHandled) {
  EXPECT_GT(test::replay_corpus(BRANCHY_CORPUS, LLVMFuzzerTestOneInput), 20);
}

}  // namespace
}  // namespace branchy
