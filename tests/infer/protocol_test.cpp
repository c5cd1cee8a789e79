#include "infer/protocol.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>

#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;

InferRequest parse(std::string_view body, std::optional<std::string_view> json_bytes = {}) {
  const std::vector<TensorDescription> inputs = {{"image", "UINT8", {-1, 3, 2, 2}},
                                                 {"feature@b1", "FP32", {-1, 4, 2, 2}}};
  return parse_infer_request(body, json_bytes, inputs);
}

std::string with_input(std::string_view fields) {
  return R"({"inputs":[{"name":"x",)" + std::string(fields) + "}]}";
}

void expect_400(std::string_view body, std::initializer_list<std::string> texts,
                std::optional<std::string_view> json_bytes = {}) {
  SCOPED_TRACE(body);
  try {
    (void)parse(body, json_bytes);
  } catch (const HttpError& error) {
    EXPECT_EQ(error.status(), 400);
    for (const std::string& text : texts) EXPECT_THAT(error.what(), testing::HasSubstr(text));
    return;
  }
  ADD_FAILURE() << "was accepted";
}

TEST(Protocol, BinaryRequestSurvivesTheWire) {
  InferRequest request;
  request.id = "7";
  request.parameters["thresholds"] = std::string("0.8,0.9");
  request.parameters["count"] = std::int64_t{3};
  request.parameters["share"] = 0.25;
  request.inputs.push_back(fp32_tensor("x", {1, 2}, std::vector<float>{1.5F, -2.0F}));
  request.inputs.push_back(uint8_tensor("y", {3}, std::vector<std::uint8_t>{1, 2, 255}));
  request.outputs.push_back({"z", true});
  request.binary_outputs = true;
  const WireMessage wire = build_infer_request(request);
  ASSERT_TRUE(wire.json_bytes);
  EXPECT_EQ(wire.body.size(), *wire.json_bytes + 11);
  EXPECT_EQ(wire.content_type(), "application/octet-stream");
  const InferRequest back = parse(wire.body, std::to_string(*wire.json_bytes));
  EXPECT_EQ(back.id, "7");
  EXPECT_EQ(string_parameter(back.parameters, "thresholds"), "0.8,0.9");
  EXPECT_EQ(number_parameter(back.parameters, "count"), 3.0);
  EXPECT_EQ(number_parameter(back.parameters, "share"), 0.25);
  EXPECT_EQ(number_parameter(back.parameters, "absent"), std::nullopt);
  ASSERT_EQ(back.inputs.size(), 2U);
  EXPECT_EQ(fp32_values(back.inputs[0]), (std::vector<float>{1.5F, -2.0F}));
  EXPECT_EQ(back.inputs[1].shape, (std::vector<std::int64_t>{3}));
  EXPECT_EQ(uint8_values(back.inputs[1]), (std::vector<std::uint8_t>{1, 2, 255}));
  ASSERT_EQ(back.outputs.size(), 1U);
  EXPECT_EQ(back.outputs[0].binary, true);
  EXPECT_TRUE(back.binary_outputs);
}

TEST(Protocol, FlatAndNestedDataAreTheSame) {
  const InferRequest flat =
      parse(with_input(R"("shape":[2,2],"datatype":"FP32","data":[1,2.5,-3,1e2])"));
  const InferRequest nested =
      parse(with_input(R"("shape":[2,2],"datatype":"FP32","data":[[1,2.5],[-3,1e2]])"));
  EXPECT_EQ(fp32_values(flat.inputs[0]), (std::vector<float>{1, 2.5F, -3, 100}));
  EXPECT_EQ(flat.inputs[0].bytes, nested.inputs[0].bytes);
}

TEST(Protocol, KnowsEveryDatatype) {
  const auto bytes_of = [](const std::string& datatype, const std::string& data) {
    return parse(with_input(R"("shape":[2],"datatype":")" + datatype + R"(","data":)" + data))
        .inputs.at(0)
        .bytes.size();
  };
  EXPECT_EQ(bytes_of("BOOL", "[true,0]"), 2U);
  EXPECT_EQ(bytes_of("INT8", "[-128,127]"), 2U);
  EXPECT_EQ(bytes_of("INT16", "[-32768,1]"), 4U);
  EXPECT_EQ(bytes_of("UINT16", "[65535,1]"), 4U);
  EXPECT_EQ(bytes_of("UINT32", "[4294967295,1]"), 8U);
  EXPECT_EQ(bytes_of("UINT64", "[18446744073709551615,1]"), 16U);
  EXPECT_EQ(bytes_of("INT64", "[-9223372036854775808,1]"), 16U);
  EXPECT_EQ(bytes_of("FP64", "[1e300,1]"), 16U);
  const InferRequest text = parse(with_input(R"("shape":[2],"datatype":"BYTES","data":["ab",""])"));
  EXPECT_EQ(bytes_values(text.inputs.at(0)), (std::vector<std::string_view>{"ab", ""}));
  for (const auto& [datatype, size] : {std::pair("FP16", 4), std::pair("BF16", 4)}) {
    const std::string json = with_input(R"("shape":[2],"datatype":")" + std::string(datatype) +
                                        R"(","parameters":{"binary_data_size":4})");
    EXPECT_EQ(std::ssize(parse(json + "abcd", std::to_string(json.size())).inputs.at(0).bytes),
              size);
  }
}

TEST(Protocol, WalksThroughBytes) {
  const auto send = [](const std::string& shape, const std::string& blob) {
    const std::string json = with_input(R"("shape":)" + shape +
                                        R"(,"datatype":"BYTES","parameters":{"binary_data_size":)" +
                                        std::to_string(blob.size()) + "}");
    return std::pair(json + blob, std::to_string(json.size()));
  };
  using namespace std::string_literals;
  const auto good = send("[2]", "\2\0\0\0ab\0\0\0\0"s);
  EXPECT_EQ(bytes_values(parse(good.first, good.second).inputs.at(0)).at(0), "ab");
  for (const auto& [shape, blob, why] :
       {std::tuple("[2]", "\2\0\0\0ab"s, "at least"),
        std::tuple("[2]", "\2\0\0\0ab\1\0\0\0"s, "said to have 1"),
        std::tuple("[2]", "\2\0\0\0ab\0\0\0"s, "holds 1 elements"),
        std::tuple("[1]", "\2\0\0\0ab\0\0\0\0"s, "4 bytes more"),
        std::tuple("[1]", "\377\377\377\377"s, "said to have 4294967295")}) {
    const auto [body, length] = send(shape, blob);
    expect_400(body, {why}, length);
  }
}

TEST(Protocol, ClassesComeBestFirstWithTheirNames) {
  InferResponse response{"m", "1", "", {}, {}};
  response.outputs.push_back(
      fp32_tensor("logits", {2, 3}, std::vector<float>{0.5F, 2, 2, -1, -2, -3}));
  const auto words = [&](std::int64_t count, bool binary) {
    InferRequest request;
    request.outputs.push_back({"logits", binary, count});
    const WireMessage wire =
        build_infer_response(response, request, std::vector<std::string>{"cat", "dog"});
    const auto length = wire.json_bytes ? std::optional(std::to_string(*wire.json_bytes))
                                        : std::optional<std::string>();
    const InferResponse answer = parse_infer_response(wire.body, length);
    std::vector<std::string> found;
    for (const std::string_view word : bytes_values(answer.outputs.at(0))) found.emplace_back(word);
    return found;
  };
  EXPECT_EQ(words(1, false), (std::vector<std::string>{"2:1:dog", "-1:0:cat"}));
  EXPECT_EQ(words(9, true), (std::vector<std::string>{"2:1:dog", "2:2", "0.5:0:cat", "-1:0:cat",
                                                      "-2:1:dog", "-3:2"}));
  expect_400(R"({"inputs":[],"outputs":[{"name":"a","parameters":{"classification":0}}]})",
             {"classification"});
  expect_400(R"({"inputs":[],"outputs":[{"name":"a"},{"name":"a"}]})", {"comes twice"});
}

TEST(Protocol, ARawBodyMaySayTheVariableDimensionOfTheOnlyInput) {
  const std::vector<TensorDescription> one = {{"code", "UINT8", {-1, -1}},
                                              {"edge", "FP32", {-1, 2}, true}};
  EXPECT_EQ(parse_infer_request("abcde", "0", one).inputs.at(0).shape,
            (std::vector<std::int64_t>{1, 5}));
}

TEST(Protocol, AnswersAreBinaryOrJsonAsWanted) {
  InferResponse response{"m", "1", "9", {}, {}};
  response.parameters["compute_ms"] = 1.5;
  response.outputs.push_back(fp32_tensor("logits", {1, 2}, std::vector<float>{0.1F, -4}));
  response.outputs.push_back(int32_tensor("exit_index", {1}, std::vector<std::int32_t>{3}));
  InferRequest request;
  const WireMessage text = build_infer_response(response, request);
  EXPECT_FALSE(text.json_bytes);
  EXPECT_EQ(text.content_type(), "application/json");
  const InferResponse from_text = parse_infer_response(text.body, std::nullopt);
  EXPECT_EQ(from_text.id, "9");
  EXPECT_EQ(fp32_values(from_text.outputs.at(0)), (std::vector<float>{0.1F, -4}));

  request.binary_outputs = true;
  request.outputs = {{"exit_index", false}, {"logits", std::nullopt}};
  const WireMessage mixed = build_infer_response(response, request);
  ASSERT_TRUE(mixed.json_bytes);
  EXPECT_EQ(mixed.body.size(), *mixed.json_bytes + 8);
  const InferResponse from_mixed =
      parse_infer_response(mixed.body, std::to_string(*mixed.json_bytes));
  EXPECT_EQ(int32_values(from_mixed.outputs.at(0)), (std::vector<std::int32_t>{3}));
  EXPECT_EQ(from_mixed.outputs.at(1).bytes, response.outputs[0].bytes);
  EXPECT_EQ(number_parameter(from_mixed.parameters, "compute_ms"), 1.5);
}

TEST(Protocol, RefusesToAnswerNanAndUnknownOutputs) {
  InferResponse response;
  response.outputs.push_back(fp32_tensor("a", {1}, std::vector<float>{std::nanf("")}));
  EXPECT_THROW(build_infer_response(response, {}), NumericError);
  InferRequest request;
  request.outputs.push_back({"b", std::nullopt});
  expect_error<HttpError>([&] { (void)build_infer_response(response, request); }, {"'b'"});
}

TEST(Protocol, RawBodyIsTheInputThatItFits) {
  const InferRequest image = parse(std::string(12, '\1'), "0");
  EXPECT_EQ(image.inputs.at(0).name, "image");
  EXPECT_EQ(image.inputs.at(0).shape, (std::vector<std::int64_t>{1, 3, 2, 2}));
  EXPECT_TRUE(image.binary_outputs);
  EXPECT_EQ(parse(std::string(64, '\0'), "0").inputs.at(0).name, "feature@b1");
  expect_400(std::string(13, '\1'), {"13 bytes", "fits no input"}, "0");
  expect_400(std::string(64, '\xFF'), {"feature@b1", "nan"}, "0");
}

TEST(Protocol, RefusesWhatIsNotARequest) {
  expect_400("", {"not JSON"});
  expect_400("{", {"not JSON"});
  expect_400("[]", {"not an object"});
  expect_400("{}", {"lacks \"inputs\""});
  expect_400(R"({"inputs":{}})", {"not an array"});
  expect_400(R"({"inputs":[3]})", {"not an object"});
  expect_400(R"({"id":3,"inputs":[]})", {"\"id\" is not a string"});
  expect_400(R"({"parameters":{"a":[]},"inputs":[]})", {"parameter 'a'"});
  expect_400(R"({"parameters":{"binary_data_output":1},"inputs":[]})", {"not a bool"});
  expect_400("{\"inputs\":[{\"name\":\"\xFF\"}]}", {"not JSON"});
  expect_400(R"({"inputs":[],"outputs":[{}]})", {"lacks \"name\""});
  expect_400(std::string(100, '['), {"nested deeper"});
  std::string many = R"({"inputs":[],"x":[)";
  for (int i = 0; i < 100'001; ++i) many += "[],";
  expect_400(many + "1]}", {"arrays and objects"});
  expect_400(std::string((4 << 20) + 1, ' '), {"JSON part has"});
}

TEST(Protocol, RefusesWrongTensors) {
  expect_400(with_input(R"("shape":[1],"datatype":"FLOAT","data":[1])"), {"FLOAT", "FP32"});
  for (const char* half : {"FP16", "BF16"}) {
    expect_400(with_input(R"("shape":[1],"data":[1],"datatype":")" + std::string(half) + '"'),
               {half, "no JSON form", "binary"});
  }
  expect_400(with_input(R"("shape":[1],"datatype":"BOOL","data":[2])"), {"true or false"});
  expect_400(with_input(R"("shape":[1],"datatype":"BYTES","data":[1])"), {"not a string"});
  expect_400(with_input(R"("shape":[-1],"datatype":"FP32","data":[1])"), {"negative"});
  expect_400(with_input(R"("shape":[1.5],"datatype":"FP32","data":[1])"), {"64-bit integer"});
  expect_400(with_input(R"("shape":[18446744073709551615],"datatype":"FP32","data":[1])"),
             {"64-bit integer"});
  expect_400(with_input(R"("shape":[4294967296,4294967296,4],"datatype":"FP32","data":[1])"),
             {"larger"});
  expect_400(with_input(R"("shape":[1,1,1,1,1,1,1,1,1],"datatype":"FP32","data":[1])"),
             {"9 dimensions"});
  expect_400(with_input(R"("shape":[2],"datatype":"FP32","data":[1])"), {"fewer"});
  expect_400(with_input(R"("shape":[2],"datatype":"FP32","data":[1,2,3])"), {"more"});
  expect_400(with_input(R"("shape":[1],"datatype":"FP32","data":["a"])"), {"not a number"});
  expect_400(with_input(R"("shape":[1],"datatype":"FP32","data":[1e39])"), {"beyond FP32"});
  expect_400(with_input(R"("shape":[1],"datatype":"FP32","data":[NaN])"), {"not JSON"});
  expect_400(with_input(R"("shape":[1],"datatype":"FP32","data":[1e999])"), {"not JSON"});
  expect_400(with_input(R"("shape":[1],"datatype":"UINT8","data":[256])"), {"256", "range"});
  expect_400(with_input(R"("shape":[1],"datatype":"UINT8","data":[-1])"), {"-1", "range"});
  expect_400(with_input(R"("shape":[1],"datatype":"INT32","data":[2147483648])"), {"range"});
  expect_400(with_input(R"("shape":[1],"datatype":"INT64","data":[9223372036854775808])"),
             {"range"});
  expect_400(with_input(R"("shape":[1],"datatype":"INT64","data":[1.0])"), {"no integer"});
  const std::string one = R"({"name":"x","shape":[1],"datatype":"UINT8","data":[1]})";
  expect_400(R"({"inputs":[)" + one + "," + one + "]}", {"comes twice"});
}

TEST(Protocol, RefusesWrongBinaryParts) {
  const auto json = [](int bytes) {
    return with_input(R"("shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":)" +
                      std::to_string(bytes) + "}");
  };
  const std::string good = json(8);
  const std::string length = std::to_string(good.size());
  EXPECT_EQ(parse(good + std::string(8, '\0'), length).inputs.at(0).bytes.size(), 8U);
  expect_400(good + std::string(7, '\0'), {"needs 8 bytes", "7 left"}, length);
  expect_400(good + std::string(9, '\0'), {"1 bytes that no input owns"}, length);
  expect_400(json(4) + std::string(4, '\0'), {"not the 8 bytes"}, std::to_string(json(4).size()));
  expect_400(good + std::string(8, '\0'), {"Inference-Header-Content-Length"}, "9999");
  for (const char* header : {"", "-1", "x", "1x", "99999999999999999999999", " 1"}) {
    expect_400(good, {"Inference-Header-Content-Length"}, header);
  }
  std::string nan = good + std::string(8, '\0');
  const float value = std::numeric_limits<float>::infinity();
  std::memcpy(nan.data() + good.size() + 4, &value, sizeof value);
  expect_400(nan, {"element 1 is inf"}, length);
}

TEST(Protocol, MetadataSurvivesTheWire) {
  ModelDescription model{.name = "m", .inputs = {}, .outputs = {}};
  model.inputs.push_back({"image", "UINT8", {-1, 3, 32, 32}});
  model.outputs.push_back({"logits", "FP32", {-1, 10}});
  const std::string text = model_metadata_json(model);
  EXPECT_THAT(text, testing::HasSubstr(R"("versions":["1"])"));
  const ModelDescription back = parse_model_metadata(text);
  EXPECT_EQ(back.inputs.at(0).shape, model.inputs[0].shape);
  EXPECT_EQ(back.outputs.at(0).name, "logits");
  EXPECT_THROW(parse_model_metadata("{}"), HttpError);
  EXPECT_EQ(parse_error_body(R"({"error":"late"})"), "late");
  EXPECT_EQ(parse_error_body("<html>"), std::nullopt);
  EXPECT_EQ(parse_error_body(R"({"error":5})"), std::nullopt);
}

}  // namespace
}  // namespace branchy
