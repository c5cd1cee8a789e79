#include "layers/weight_export.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <set>
#include <utility>

#include "core/error.h"

namespace branchy {

namespace {

constexpr std::string_view kMean = "running_mean";

/// The name without its last part and the dot before it.
std::string module_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

/// What the file will hold, in order; owns bytes that are not the network's.
class EntryList {
 public:
  EntryList(std::string place, FloatType dtype) : place_(std::move(place)), dtype_(dtype) {}

  void add(const std::string& name, const Tensor& value, std::int64_t trailing_ones = 0) {
    const auto dims = value.shape().dims();
    SafetensorsEntry entry{.dtype = std::string(float_type_name(dtype_)),
                           .shape = {dims.begin(), dims.end()},
                           .bytes = std::as_bytes(value.data())};
    entry.shape.insert(entry.shape.end(), static_cast<std::size_t>(trailing_ones), 1);
    if (dtype_ != FloatType::kF32)
      entry.bytes = owned_.emplace_back(
          encode_floats(value.data(), dtype_, fmt::format("{}: {}", place_, name)));
    entries_.emplace_back(name, std::move(entry));
  }
  void add_zeros(const std::string& name, std::int64_t count) {
    add(name, tensors_.emplace_back(Tensor::zeros({count})));
  }
  void add_counter(const std::string& name, const StoredTensor* kept) {
    constexpr std::size_t kBytes = 8;
    if (kept != nullptr)
      entries_.emplace_back(name, kept->entry());
    else
      entries_.emplace_back(
          name,
          SafetensorsEntry{.dtype = "I64", .shape = {}, .bytes = owned_.emplace_back(kBytes)});
  }

  /// A float tensor as the origin had it, in this list's dtype.
  void add_kept(const std::string& name, const Tensor& value) {
    add(name, tensors_.emplace_back(value));
  }

  std::vector<std::pair<std::string, SafetensorsEntry>>& entries() { return entries_; }

 private:
  std::string place_;
  FloatType dtype_;
  std::vector<std::pair<std::string, SafetensorsEntry>> entries_;
  std::list<std::vector<std::byte>> owned_;
  std::list<Tensor> tensors_;
};

/// The float tensor that the origin kept; undefined when it did not, or one of another shape.
Tensor kept_tensor(const WeightOrigin& origin, const std::string& name, const Shape& shape) {
  const auto found = origin.kept.find(name);
  if (found == origin.kept.end()) return {};
  const StoredTensor& kept = found->second;
  const auto dims = shape.dims();
  if (!std::equal(dims.begin(), dims.end(), kept.shape.begin(), kept.shape.end())) return {};
  return to_tensor(kept.entry(), "origin: " + name);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.data().data(), b.data().data(), a.data().size_bytes()) == 0;
}

class Exporter {
 public:
  Exporter(MultiExitNetwork& network, const WeightOrigin& origin, const ExportOptions& options,
           EntryList& list)
      : network_(network), origin_(origin), options_(options), list_(list) {
    names_ = weight_names(network.config().name, options.to);
    prefix_ = origin.family == options.to ? origin.prefix : std::string(names_.prefix);
  }

  void run() {
    NetworkPart part = network_.whole();
    part.first_exit = network_.num_exits();
    state_ = network_.state(part);
    for (const StateEntry& entry : state_) present_.insert(entry.name);
    check_projections();
    for (std::size_t i = 0; i < state_.size(); ++i) write(i);
    if (origin_.sorted || origin_.family == WeightFamily::kBranchy)
      std::sort(list_.entries().begin(), list_.entries().end(), less_in_file);
  }

 private:
  [[nodiscard]] std::string file_name(const std::string& ours) const {
    return prefix_ + names_.theirs(ours);
  }

  void check_projections() const {
    const auto option = network_.config().options.find("shortcut");
    if (names_.projections && option != network_.config().options.end() &&
        option->second == "option-a")
      throw ConfigError(
          fmt::format("[convert] {} has projections, this {} has shortcut=option-a; choose another "
                      "family",
                      weight_family_name(names_.family), network_.config().name));
  }

  /// What the batch norm at the mean state_[i] had before a bias was folded into it, as long as its
  /// mean is still what folding gave.
  struct Folded {
    Tensor bias, mean;
  };
  [[nodiscard]] Folded folded(const std::string& bias, const StateEntry& mean) const {
    const Shape& shape = mean.variable->shape();
    Folded kept{kept_tensor(origin_, bias, shape), kept_tensor(origin_, mean.name, shape)};
    if (!kept.bias.defined() || !kept.mean.defined() ||
        !same_bits(fold_bias(kept.mean, kept.bias), mean.variable->value()))
      return {};
    return kept;
  }

  void write(std::size_t i) {
    const StateEntry& entry = state_[i];
    const std::string module = module_of(entry.name);
    const bool is_mean = entry.name.ends_with(kMean);
    // The mean is restored where the bias ahead of it is.
    if (is_mean && i >= 3) {
      const Folded kept = folded(module_of(state_[i - 3].name) + ".bias", entry);
      if (kept.mean.defined()) return list_.add_kept(file_name(entry.name), kept.mean);
    }
    const bool convolutional = std::find(names_.convolutional.begin(), names_.convolutional.end(),
                                         entry.name) != names_.convolutional.end();
    list_.add(file_name(entry.name), entry.variable->value(), convolutional ? 2 : 0);
    write_bias_behind(i);
    if (entry.name.ends_with(".running_var")) write_counter(module);
  }

  /// The bias of a convolution that has none here.
  void write_bias_behind(std::size_t i) {
    if (state_[i].variable->shape().rank() != 4 || i + 3 >= state_.size()) return;
    const std::string bias = module_of(state_[i].name) + ".bias";
    const StateEntry& mean = state_[i + 3];
    if (present_.contains(bias) || !mean.name.ends_with(kMean)) return;
    const Folded kept = folded(bias, mean);
    if (kept.bias.defined())
      list_.add_kept(file_name(bias), kept.bias);
    else if (names_.conv_biases || origin_.kept.contains(bias))
      list_.add_zeros(file_name(bias), mean.variable->shape().size());
  }

  void write_counter(const std::string& module) {
    const std::string name = module + ".num_batches_tracked";
    const auto kept = origin_.kept.find(name);
    if (kept != origin_.kept.end() || options_.counters)
      list_.add_counter(file_name(name), kept != origin_.kept.end() ? &kept->second : nullptr);
  }

  MultiExitNetwork& network_;
  const WeightOrigin& origin_;
  const ExportOptions& options_;
  EntryList& list_;
  WeightNames names_;
  std::string prefix_;
  std::vector<StateEntry> state_;
  std::set<std::string> present_;
};

void write_model(const std::filesystem::path& path, MultiExitNetwork& network,
                 const ModelInfo& info, const WeightOrigin& origin, EntryList& list) {
  std::map<std::string, const Tensor*> ordered;
  for (const StateEntry& entry : network.state(info.part))
    ordered.emplace(entry.name, &entry.variable->value());
  for (const auto& [name, value] : ordered) list.add(name, *value);
  Metadata metadata = to_metadata(info);
  add_origin(origin, metadata, list.entries());
  write_safetensors_entries(path, list.entries(), metadata);
}

}  // namespace

ExportReport export_weights(const std::filesystem::path& path, MultiExitNetwork& network,
                            const ModelInfo& info, const WeightOrigin& origin,
                            const ExportOptions& options) {
  // A model file keeps float32: means that biases were folded into have more digits than halves.
  const bool own = options.to == WeightFamily::kBranchy;
  EntryList list(path.string(), options.dtype.value_or(own ? FloatType::kF32 : origin.dtype));
  ExportReport report;
  if (own) {
    write_model(path, network, info, origin, list);
  } else {
    Exporter(network, origin, options, list).run();
    write_safetensors_entries(path, list.entries(), {{"format", "pt"}});
    for (std::int64_t exit = 1; exit < network.num_exits(); ++exit)
      for (const StateEntry& entry :
           network.state({.first_block = 0, .end_block = 0, .first_exit = exit, .last_exit = exit}))
        report.left_out.push_back(entry.name);
  }
  report.written = std::ssize(list.entries());
  return report;
}

}  // namespace branchy
