#include "infer/protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>
#include <utility>

#include "core/printable.h"

namespace branchy {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxJsonBytes = std::size_t{4} << 20;
constexpr std::size_t kMaxJsonDepth = 16;
constexpr std::size_t kMaxJsonContainers = 100'000;
constexpr std::size_t kMaxTensors = 16;
constexpr std::size_t kMaxParameters = 64;
constexpr std::size_t kMaxNameBytes = 256;

template <class... Args>
[[noreturn]] void reject(fmt::format_string<Args...> text, Args&&... args) {
  throw HttpError(400, fmt::format(text, std::forward<Args>(args)...));
}

// Nesting and number of containers, so that the parser below cannot be made to take much more
// memory than the text itself.
void check_json_bounds(std::string_view text) {
  if (text.size() > kMaxJsonBytes) {
    reject("JSON part has {} bytes, at most {} are accepted; send tensors as binary data",
           text.size(), kMaxJsonBytes);
  }
  std::size_t depth = 0;
  std::size_t containers = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      ++containers;
      if (++depth > kMaxJsonDepth) reject("JSON is nested deeper than {}", kMaxJsonDepth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  if (containers > kMaxJsonContainers) {
    reject("JSON has {} arrays and objects, at most {} are accepted; send tensors as binary data",
           containers, kMaxJsonContainers);
  }
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

template <class T>
void append_number(const json& value, std::vector<std::byte>& bytes, std::string_view place) {
  T number{};
  if constexpr (std::is_floating_point_v<T>) {
    if (!value.is_number()) reject("{}: data holds {}, not a number", place, value.type_name());
    const double wide = value.get<double>();
    if (!(std::abs(wide) <= static_cast<double>(std::numeric_limits<T>::max()))) {
      reject("{}: data holds {}, beyond FP32", place, wide);
    }
    number = static_cast<T>(wide);
  } else {
    if (!value.is_number_integer()) reject("{}: data holds a value that is no integer", place);
    const bool huge = is_beyond_int64(value);
    const std::int64_t wide = huge ? 0 : value.get<std::int64_t>();
    if (huge || std::cmp_less(wide, std::numeric_limits<T>::min()) ||
        std::cmp_greater(wide, std::numeric_limits<T>::max())) {
      reject("{}: data holds {}, beyond the datatype's range", place, value.dump());
    }
    number = static_cast<T>(wide);
  }
  const auto raw = std::as_bytes(std::span(&number, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

// Flat or nested; the nesting is at most kMaxJsonDepth, so the recursion is bounded.
void append_data(const json& data, WireTensor& tensor, std::size_t limit, std::string_view place) {
  for (const json& value : data) {
    if (value.is_array()) {
      append_data(value, tensor, limit, place);
      continue;
    }
    if (tensor.bytes.size() >= limit) {
      reject("{}: data holds more elements than shape {}", place, shape_text(tensor.shape));
    }
    if (tensor.datatype == "FP32") {
      append_number<float>(value, tensor.bytes, place);
    } else if (tensor.datatype == "INT32") {
      append_number<std::int32_t>(value, tensor.bytes, place);
    } else if (tensor.datatype == "INT64") {
      append_number<std::int64_t>(value, tensor.bytes, place);
    } else {
      append_number<std::uint8_t>(value, tensor.bytes, place);
    }
  }
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
    const json& data = array_field(object, "data", place);
    append_data(data, tensor, static_cast<std::size_t>(size), place);
    if (std::cmp_not_equal(tensor.bytes.size(), size)) {
      reject("{} data holds fewer elements than shape {}", place, shape_text(tensor.shape));
    }
    return tensor;
  }
  if (object.contains("data")) reject("{} has both data and binary_data_size", place);
  const std::int64_t* length = std::get_if<std::int64_t>(&announced->second);
  if (length == nullptr || *length != size) {
    reject("{} binary_data_size is not the {} bytes that {} {} needs", place, size, tensor.datatype,
           shape_text(tensor.shape));
  }
  if (std::cmp_less(binary.size(), size)) {
    reject("{} needs {} bytes, the binary part has {} left", place, size, binary.size());
  }
  const auto bytes = std::as_bytes(std::span(binary.data(), static_cast<std::size_t>(size)));
  tensor.bytes.assign(bytes.begin(), bytes.end());
  binary.remove_prefix(static_cast<std::size_t>(size));
  require_finite(tensor);
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

InferRequest parse_raw_request(std::string_view body,
                               std::span<const TensorDescription> raw_inputs) {
  const TensorDescription* match = nullptr;
  std::vector<std::int64_t> match_shape;
  for (const TensorDescription& input : raw_inputs) {
    if (input.optional) continue;
    std::vector<std::int64_t> shape = input.shape;
    if (!shape.empty() && shape.front() < 0) shape.front() = 1;
    if (std::any_of(shape.begin(), shape.end(), [](std::int64_t dim) { return dim < 0; })) continue;
    if (std::cmp_not_equal(implied_bytes(input.datatype, shape, input.name), body.size())) continue;
    if (match != nullptr) reject("raw body of {} bytes fits more than one input", body.size());
    match = &input;
    match_shape = std::move(shape);
  }
  if (match == nullptr) reject("raw body of {} bytes fits no input of the model", body.size());
  WireTensor tensor{match->name, match->datatype, std::move(match_shape), {}};
  const auto bytes = std::as_bytes(std::span(body));
  tensor.bytes.assign(bytes.begin(), bytes.end());
  require_finite(tensor);
  InferRequest request;
  request.inputs.push_back(std::move(tensor));
  request.binary_outputs = true;
  return request;
}

json to_json(const Parameters& parameters) {
  json object = json::object();
  for (const auto& [key, value] : parameters) {
    std::visit([&, &name = key](const auto& held) { object[name] = held; }, value);
  }
  return object;
}

template <class T>
json numbers(const WireTensor& tensor) {
  json list = json::array();
  for (std::size_t at = 0; at < tensor.bytes.size(); at += sizeof(T)) {
    T value{};
    std::memcpy(&value, tensor.bytes.data() + at, sizeof value);
    list.push_back(value);
  }
  return list;
}

json data_json(const WireTensor& tensor) {
  if (tensor.datatype == "FP32") return numbers<float>(tensor);
  if (tensor.datatype == "INT32") return numbers<std::int32_t>(tensor);
  if (tensor.datatype == "INT64") return numbers<std::int64_t>(tensor);
  return numbers<std::uint8_t>(tensor);
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

bool wants_binary(const RequestedOutput* wanted, const InferRequest& request) {
  if (wanted != nullptr && wanted->binary) return *wanted->binary;
  return request.binary_outputs;
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
  for (const json& object : outputs) {
    if (!object.is_object()) reject("an output is not an object");
    RequestedOutput wanted{text_field(object, "name", "output"), std::nullopt};
    wanted.binary = bool_parameter(parse_parameters(object, "output"), "binary_data");
    request.outputs.push_back(std::move(wanted));
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
    if (output.binary) wanted["parameters"] = {{"binary_data", *output.binary}};
    root["outputs"].push_back(std::move(wanted));
  }
  WireMessage message{dump(root), std::nullopt};
  message.json_bytes = message.body.size();
  for (const WireTensor& tensor : request.inputs) append_bytes(message.body, tensor);
  return message;
}

WireMessage build_infer_response(const InferResponse& response, const InferRequest& request) {
  std::vector<std::pair<const WireTensor*, bool>> chosen;
  if (request.outputs.empty()) {
    for (const WireTensor& tensor : response.outputs) {
      chosen.emplace_back(&tensor, wants_binary(nullptr, request));
    }
  }
  for (const RequestedOutput& wanted : request.outputs) {
    const auto found =
        std::find_if(response.outputs.begin(), response.outputs.end(),
                     [&](const WireTensor& tensor) { return tensor.name == wanted.name; });
    if (found == response.outputs.end()) {
      reject("output '{}' does not exist", printable(wanted.name));
    }
    chosen.emplace_back(&*found, wants_binary(&wanted, request));
  }
  json root = {{"model_name", response.model_name}, {"model_version", response.model_version}};
  if (!response.id.empty()) root["id"] = response.id;
  if (!response.parameters.empty()) root["parameters"] = to_json(response.parameters);
  root["outputs"] = json::array();
  bool any_binary = false;
  for (const auto& [tensor, binary] : chosen) {
    try {
      require_finite(*tensor);
    } catch (const HttpError& error) {
      throw NumericError(error.what());
    }
    json header = tensor_header(*tensor);
    if (binary) {
      header["parameters"] = {{"binary_data_size", tensor->bytes.size()}};
    } else {
      header["data"] = data_json(*tensor);
    }
    any_binary = any_binary || binary;
    root["outputs"].push_back(std::move(header));
  }
  WireMessage message{dump(root), std::nullopt};
  if (any_binary) message.json_bytes = message.body.size();
  for (const auto& [tensor, binary] : chosen) {
    if (binary) append_bytes(message.body, *tensor);
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

std::string model_metadata_json(const ModelDescription& model) {
  return dump({{"name", model.name},
               {"versions", json::array({model.version})},
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
