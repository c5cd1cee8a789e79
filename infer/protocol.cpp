#include "infer/protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>
#include <utility>

#include "core/printable.h"
#include "infer/classification.h"
#include "infer/json_bounds.h"
#include "infer/raw_request.h"

namespace branchy {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxTensors = 16;
constexpr std::size_t kMaxParameters = 64;
constexpr std::size_t kMaxNameBytes = 256;

template <class... Args>
[[noreturn]] void reject(fmt::format_string<Args...> text, Args&&... args) {
  throw HttpError(400, fmt::format(text, std::forward<Args>(args)...));
}

json parse_object(std::string_view text) {
  check_json_bounds(text);
  json root;
  try {
    root = json::parse(text);
  } catch (const json::exception& error) {
    reject("body is not JSON: {}", printable(error.what()));
  }
  if (!root.is_object()) reject("body is JSON but not an object");
  return root;
}

std::string text_field(const json& object, const char* key, std::string_view place) {
  const auto found = object.find(key);
  if (found == object.end()) reject("{} lacks \"{}\"", place, key);
  if (!found->is_string()) reject("{}: \"{}\" is not a string", place, key);
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > kMaxNameBytes) reject("{}: \"{}\" is longer than 256 bytes", place, key);
  return text;
}

std::string optional_text_field(const json& object, const char* key, std::string_view place) {
  return object.contains(key) ? text_field(object, key, place) : std::string();
}

const json& array_field(const json& object, const char* key, std::string_view place) {
  const auto found = object.find(key);
  if (found == object.end()) reject("{} lacks \"{}\"", place, key);
  if (!found->is_array()) reject("{}: \"{}\" is not an array", place, key);
  return *found;
}

bool is_beyond_int64(const json& value) {
  return value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX;
}

Parameters parse_parameters(const json& owner, std::string_view place) {
  Parameters parameters;
  const auto found = owner.find("parameters");
  if (found == owner.end()) return parameters;
  if (!found->is_object()) reject("{}: \"parameters\" is not an object", place);
  if (found->size() > kMaxParameters) reject("{} has more than 64 parameters", place);
  for (const auto& [key, value] : found->items()) {
    if (value.is_string()) {
      parameters[key] = value.get<std::string>();
    } else if (value.is_boolean()) {
      parameters[key] = value.get<bool>();
    } else if (value.is_number_integer() && !is_beyond_int64(value)) {
      parameters[key] = value.get<std::int64_t>();
    } else if (value.is_number()) {
      parameters[key] = value.get<double>();
    } else {
      reject("{}: parameter '{}' is neither a string nor a number nor a bool", place,
             printable(key));
    }
  }
  return parameters;
}

std::optional<bool> bool_parameter(const Parameters& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return std::nullopt;
  const bool* value = std::get_if<bool>(&found->second);
  if (value == nullptr) reject("parameter '{}' is not a bool", name);
  return *value;
}

std::vector<std::int64_t> parse_shape(const json& object, std::string_view place) {
  const json& list = array_field(object, "shape", place);
  if (list.size() > 8) reject("{}: shape has {} dimensions, at most 8", place, list.size());
  std::vector<std::int64_t> shape;
  for (const json& dim : list) {
    if (!dim.is_number_integer() || is_beyond_int64(dim))
      reject("{}: shape holds {}, which is no 64-bit integer", place, dim.type_name());
    shape.push_back(dim.get<std::int64_t>());
  }
  return shape;
}

// Calls `use` with a value of the C++ type behind a datatype; false for BYTES, FP16 and BF16.
template <class Use>
bool with_type(std::string_view datatype, const Use& use) {
  if (datatype == "FP32") return use(float{}), true;
  if (datatype == "UINT8") return use(std::uint8_t{}), true;
  if (datatype == "INT32") return use(std::int32_t{}), true;
  if (datatype == "INT64") return use(std::int64_t{}), true;
  if (datatype == "BOOL") return use(bool{}), true;
  if (datatype == "INT8") return use(std::int8_t{}), true;
  if (datatype == "INT16") return use(std::int16_t{}), true;
  if (datatype == "UINT16") return use(std::uint16_t{}), true;
  if (datatype == "UINT32") return use(std::uint32_t{}), true;
  if (datatype == "UINT64") return use(std::uint64_t{}), true;
  if (datatype == "FP64") return use(double{}), true;
  return false;
}

template <class T>
T integer_of(const json& value, std::string_view place) {
  if (!value.is_number_integer()) reject("{}: data holds a value that is no integer", place);
  const auto fits = [](auto wide) {
    return std::cmp_greater_equal(wide, std::numeric_limits<T>::min()) &&
           std::cmp_less_equal(wide, std::numeric_limits<T>::max());
  };
  const bool good = value.is_number_unsigned() ? fits(value.get<std::uint64_t>())
                                               : fits(value.get<std::int64_t>());
  if (!good) reject("{}: data holds {}, beyond the datatype's range", place, value.dump());
  return value.is_number_unsigned() ? static_cast<T>(value.get<std::uint64_t>())
                                    : static_cast<T>(value.get<std::int64_t>());
}

template <class T>
T number_of(const json& value, std::string_view place) {
  if constexpr (std::is_same_v<T, bool>) {
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_number_integer() && (value == 0 || value == 1)) return value == 1;
    reject("{}: data holds {}, expected true or false", place, value.type_name());
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!value.is_number()) reject("{}: data holds {}, not a number", place, value.type_name());
    const double wide = value.get<double>();
    if (!(std::abs(wide) <= static_cast<double>(std::numeric_limits<T>::max())))
      reject("{}: data holds {}, beyond FP32", place, wide);
    return static_cast<T>(wide);
  } else {
    return integer_of<T>(value, place);
  }
}

void append_value(const json& value, WireTensor& tensor, std::string_view place) {
  if (tensor.datatype == "BYTES") {
    if (!value.is_string()) reject("{}: data holds {}, not a string", place, value.type_name());
    return append_element(tensor.bytes, value.get_ref<const std::string&>());
  }
  const bool known = with_type(tensor.datatype, [&](auto type) {
    const auto number = number_of<decltype(type)>(value, place);
    const auto raw = std::as_bytes(std::span(&number, 1));
    tensor.bytes.insert(tensor.bytes.end(), raw.begin(), raw.end());
  });
  if (!known) reject("{} {} has no JSON form; send it as binary data", place, tensor.datatype);
}

// Flat or nested; the nesting is at most kMaxJsonDepth, so the recursion is bounded. `left` counts
// the elements that may still come.
void append_data(const json& data, WireTensor& tensor, std::int64_t& left, std::string_view place) {
  for (const json& value : data) {
    if (value.is_array()) {
      append_data(value, tensor, left, place);
      continue;
    }
    if (--left < 0)
      reject("{}: data holds more elements than shape {}", place, shape_text(tensor.shape));
    append_value(value, tensor, place);
  }
}

void read_json_data(const json& object, WireTensor& tensor, std::string_view place) {
  std::int64_t left = 1;
  for (const std::int64_t dim : tensor.shape) left *= dim;  // bounded by implied_bytes
  append_data(array_field(object, "data", place), tensor, left, place);
  if (left > 0)
    reject("{} data holds fewer elements than shape {}", place, shape_text(tensor.shape));
}

// Takes `size` bytes from the front of `binary`.
void read_binary_data(const ParameterValue& announced, std::int64_t size, WireTensor& tensor,
                      std::string_view& binary, std::string_view place) {
  const std::int64_t* length = std::get_if<std::int64_t>(&announced);
  const bool is_bytes = tensor.datatype == "BYTES";
  if (length == nullptr || (is_bytes ? *length < size : *length != size)) {
    reject("{} binary_data_size is not the {} bytes that {} {} needs{}", place, size,
           tensor.datatype, shape_text(tensor.shape), is_bytes ? " at least" : "");
  }
  if (std::cmp_less(binary.size(), *length))
    reject("{} needs {} bytes, the binary part has {} left", place, *length, binary.size());
  const auto count = static_cast<std::size_t>(*length);
  const auto bytes = std::as_bytes(std::span(binary.data(), count));
  tensor.bytes.assign(bytes.begin(), bytes.end());
  binary.remove_prefix(count);
  if (is_bytes) (void)bytes_values(tensor);  // walks through the lengths
  require_finite(tensor);
}

// Reads one tensor of a message and takes its binary part from the front of `binary`.
WireTensor parse_tensor(const json& object, std::string_view& binary, std::string_view kind) {
  if (!object.is_object()) reject("an {} is not an object", kind);
  WireTensor tensor;
  tensor.name = text_field(object, "name", kind);
  const std::string place = fmt::format("[{} {}]", kind, printable(tensor.name));
  tensor.datatype = text_field(object, "datatype", place);
  tensor.shape = parse_shape(object, place);
  const std::int64_t size = implied_bytes(tensor.datatype, tensor.shape, tensor.name);
  const Parameters parameters = parse_parameters(object, place);
  const auto announced = parameters.find("binary_data_size");
  if (announced == parameters.end()) {
    read_json_data(object, tensor, place);
    return tensor;
  }
  if (object.contains("data")) reject("{} has both data and binary_data_size", place);
  read_binary_data(announced->second, size, tensor, binary, place);
  return tensor;
}

std::vector<WireTensor> parse_tensors(const json& list, std::string_view binary,
                                      std::string_view kind) {
  if (list.size() > kMaxTensors) reject("message has {} {}s, at most 16", list.size(), kind);
  std::vector<WireTensor> tensors;
  std::set<std::string> names;
  for (const json& object : list) {
    tensors.push_back(parse_tensor(object, binary, kind));
    if (!names.insert(tensors.back().name).second) {
      reject("[{} {}] comes twice", kind, printable(tensors.back().name));
    }
  }
  if (!binary.empty()) reject("binary part has {} bytes that no {} owns", binary.size(), kind);
  return tensors;
}

// Divides a body into its JSON and its binary part.
std::pair<std::string_view, std::string_view> split_body(
    std::string_view body, std::optional<std::string_view> json_bytes) {
  if (!json_bytes) return {body, {}};
  std::size_t length = 0;
  const char* end = json_bytes->data() + json_bytes->size();
  const auto [stop, error] = std::from_chars(json_bytes->data(), end, length);
  if (json_bytes->empty() || error != std::errc() || stop != end || length > body.size()) {
    reject("{} is '{}', expected 0..{}", kInferenceHeader, printable(*json_bytes), body.size());
  }
  return {body.substr(0, length), body.substr(length)};
}

json to_json(const Parameters& parameters) {
  json object = json::object();
  for (const auto& [key, value] : parameters) {
    std::visit([&, &name = key](const auto& held) { object[name] = held; }, value);
  }
  return object;
}

json data_json(const WireTensor& tensor) {
  json list = json::array();
  if (tensor.datatype == "BYTES") {
    for (const std::string_view value : bytes_values(tensor)) list.push_back(value);
    return list;
  }
  with_type(tensor.datatype, [&](auto type) {
    using Value = decltype(type);
    // A byte that is neither 0 nor 1 must not become a bool by itself.
    std::conditional_t<std::is_same_v<Value, bool>, std::uint8_t, Value> stored{};
    for (std::size_t at = 0; at < tensor.bytes.size(); at += sizeof stored) {
      std::memcpy(&stored, tensor.bytes.data() + at, sizeof stored);
      list.push_back(static_cast<Value>(stored));
    }
  });
  return list;
}

json tensor_header(const WireTensor& tensor) {
  return {{"name", tensor.name}, {"datatype", tensor.datatype}, {"shape", tensor.shape}};
}

void append_bytes(std::string& body, const WireTensor& tensor) {
  const std::size_t start = body.size();
  body.resize(start + tensor.bytes.size());
  if (!tensor.bytes.empty()) {
    std::memcpy(body.data() + start, tensor.bytes.data(), tensor.bytes.size());
  }
}

std::string dump(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

void require_finite_output(const WireTensor& tensor) {
  try {
    require_finite(tensor);
  } catch (const HttpError& error) {
    throw NumericError(error.what());
  }
}

bool wants_binary(const RequestedOutput* wanted, const InferRequest& request) {
  if (wanted != nullptr && wanted->binary) return *wanted->binary;
  return request.binary_outputs;
}

RequestedOutput parse_output(const json& object) {
  if (!object.is_object()) reject("an output is not an object");
  RequestedOutput wanted{.name = text_field(object, "name", "output"), .binary = std::nullopt};
  const std::string place = fmt::format("[output {}]", printable(wanted.name));
  const Parameters parameters = parse_parameters(object, place);
  wanted.binary = bool_parameter(parameters, "binary_data");
  const auto classes = parameters.find("classification");
  if (classes == parameters.end()) return wanted;
  const std::int64_t* count = std::get_if<std::int64_t>(&classes->second);
  if (count == nullptr || *count < 1)
    reject("{} \"classification\" is not the number of classes wanted, 1 or more", place);
  wanted.classification = *count;
  return wanted;
}

std::vector<TensorDescription> parse_descriptions(const json& root, const char* key) {
  std::vector<TensorDescription> list;
  const json& array = array_field(root, key, "metadata");
  if (array.size() > kMaxTensors) reject("metadata has more than 16 {}", key);
  for (const json& object : array) {
    if (!object.is_object()) reject("metadata: \"{}\" holds no objects", key);
    const auto optional = object.find("optional");
    list.push_back({text_field(object, "name", "metadata"),
                    text_field(object, "datatype", "metadata"), parse_shape(object, "metadata"),
                    optional != object.end() && optional->is_boolean() && optional->get<bool>()});
  }
  return list;
}

json descriptions_json(const std::vector<TensorDescription>& list) {
  json array = json::array();
  for (const TensorDescription& one : list) {
    array.push_back({{"name", one.name}, {"datatype", one.datatype}, {"shape", one.shape}});
    if (one.optional) array.back()["optional"] = true;
  }
  return array;
}

}  // namespace

const WireTensor* InferRequest::find_input(std::string_view name) const {
  for (const WireTensor& input : inputs)
    if (input.name == name) return &input;
  return nullptr;
}

std::string_view WireMessage::content_type() const {
  return json_bytes ? "application/octet-stream" : "application/json";
}

InferRequest parse_infer_request(std::string_view body, std::optional<std::string_view> json_bytes,
                                 std::span<const TensorDescription> raw_inputs) {
  const auto [text, binary] = split_body(body, json_bytes);
  if (json_bytes && text.empty()) return parse_raw_request(binary, raw_inputs);
  const json root = parse_object(text);
  InferRequest request;
  request.id = optional_text_field(root, "id", "request");
  request.parameters = parse_parameters(root, "request");
  request.binary_outputs = bool_parameter(request.parameters, "binary_data_output").value_or(false);
  request.inputs = parse_tensors(array_field(root, "inputs", "request"), binary, "input");
  if (!root.contains("outputs")) return request;
  const json& outputs = array_field(root, "outputs", "request");
  if (outputs.size() > kMaxTensors) reject("request has {} outputs, at most 16", outputs.size());
  std::set<std::string> names;
  for (const json& object : outputs) {
    request.outputs.push_back(parse_output(object));
    const std::string& name = request.outputs.back().name;
    if (!names.insert(name).second) reject("[output {}] comes twice", printable(name));
  }
  return request;
}

WireMessage build_infer_request(const InferRequest& request) {
  json root = json::object();
  if (!request.id.empty()) root["id"] = request.id;
  Parameters parameters = request.parameters;
  if (request.binary_outputs) parameters["binary_data_output"] = true;
  if (!parameters.empty()) root["parameters"] = to_json(parameters);
  root["inputs"] = json::array();
  for (const WireTensor& tensor : request.inputs) {
    json header = tensor_header(tensor);
    header["parameters"] = {{"binary_data_size", tensor.bytes.size()}};
    root["inputs"].push_back(std::move(header));
  }
  for (const RequestedOutput& output : request.outputs) {
    json wanted = {{"name", output.name}};
    if (output.binary) wanted["parameters"]["binary_data"] = *output.binary;
    if (output.classification > 0) wanted["parameters"]["classification"] = output.classification;
    root["outputs"].push_back(std::move(wanted));
  }
  WireMessage message{dump(root), std::nullopt};
  message.json_bytes = message.body.size();
  for (const WireTensor& tensor : request.inputs) append_bytes(message.body, tensor);
  return message;
}

WireMessage build_infer_response(const InferResponse& response, const InferRequest& request,
                                 std::span<const std::string> labels) {
  std::vector<std::pair<WireTensor, bool>> chosen;
  for (const WireTensor& tensor : response.outputs) {
    if (request.outputs.empty()) chosen.emplace_back(tensor, wants_binary(nullptr, request));
  }
  for (const RequestedOutput& wanted : request.outputs) {
    const auto found =
        std::find_if(response.outputs.begin(), response.outputs.end(),
                     [&](const WireTensor& tensor) { return tensor.name == wanted.name; });
    if (found == response.outputs.end())
      reject("output '{}' does not exist", printable(wanted.name));
    require_finite_output(*found);
    chosen.emplace_back(
        wanted.classification > 0 ? classify(*found, wanted.classification, labels) : *found,
        wants_binary(&wanted, request));
  }
  json root = {{"model_name", response.model_name}, {"model_version", response.model_version}};
  if (!response.id.empty()) root["id"] = response.id;
  if (!response.parameters.empty()) root["parameters"] = to_json(response.parameters);
  root["outputs"] = json::array();
  bool any_binary = false;
  for (const auto& [tensor, binary] : chosen) {
    require_finite_output(tensor);
    json header = tensor_header(tensor);
    if (binary) {
      header["parameters"] = {{"binary_data_size", tensor.bytes.size()}};
    } else {
      header["data"] = data_json(tensor);
    }
    any_binary = any_binary || binary;
    root["outputs"].push_back(std::move(header));
  }
  WireMessage message{dump(root), std::nullopt};
  if (any_binary) message.json_bytes = message.body.size();
  for (const auto& [tensor, binary] : chosen) {
    if (binary) append_bytes(message.body, tensor);
  }
  return message;
}

InferResponse parse_infer_response(std::string_view body,
                                   std::optional<std::string_view> json_bytes) {
  const auto [text, binary] = split_body(body, json_bytes);
  const json root = parse_object(text);
  InferResponse response;
  response.model_name = optional_text_field(root, "model_name", "response");
  response.model_version = optional_text_field(root, "model_version", "response");
  response.id = optional_text_field(root, "id", "response");
  response.parameters = parse_parameters(root, "response");
  response.outputs = parse_tensors(array_field(root, "outputs", "response"), binary, "output");
  return response;
}

std::optional<std::string> parse_error_body(std::string_view body) {
  try {
    const json root = parse_object(body);
    return root.contains("error") ? std::optional(root.at("error").get<std::string>())
                                  : std::nullopt;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::string model_metadata_json(const ModelDescription& model,
                                std::span<const std::string> versions) {
  json list = json::array();
  for (const std::string& version : versions) list.push_back(version);
  if (list.empty()) list.push_back(model.version);
  return dump({{"name", model.name},
               {"versions", std::move(list)},
               {"platform", model.platform},
               {"inputs", descriptions_json(model.inputs)},
               {"outputs", descriptions_json(model.outputs)}});
}

ModelDescription parse_model_metadata(std::string_view body) {
  const json root = parse_object(body);
  ModelDescription model;
  model.name = text_field(root, "name", "metadata");
  model.platform = optional_text_field(root, "platform", "metadata");
  model.inputs = parse_descriptions(root, "inputs");
  model.outputs = parse_descriptions(root, "outputs");
  return model;
}

std::optional<std::string> string_parameter(const Parameters& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return std::nullopt;
  const std::string* text = std::get_if<std::string>(&found->second);
  if (text == nullptr) reject("parameter '{}' is not a string", name);
  return *text;
}

std::optional<double> number_parameter(const Parameters& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return std::nullopt;
  if (const double* real = std::get_if<double>(&found->second)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(&found->second)) {
    return static_cast<double>(*whole);
  }
  return std::nullopt;
}

}  // namespace branchy
