#include "layers/weight_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"
#include "layers/model_file.h"
#include "layers/models/registry.h"
#include "layers/name_list.h"

namespace branchy {

namespace {

/// A name with `end` in the place of its last part ("weight", "running_mean").
std::string sibling(const std::string& name, std::string_view end) {
  return name.substr(0, name.rfind('.') + 1).append(end);
}

/// Prefixes of wrappers that every name of the file has.
std::string common_prefix(const SafetensorsFile& file) {
  std::string prefix;
  for (bool found = !file.entries().empty(); found;) {
    found = false;
    for (const std::string_view wrapper : wrapper_prefixes()) {
      const std::string longer = prefix + std::string(wrapper);
      found = std::all_of(file.entries().begin(), file.entries().end(),
                          [&](const auto& entry) { return entry.first.starts_with(longer); });
      if (!found) continue;
      prefix = longer;
      break;
    }
  }
  return prefix;
}

bool is_sorted_file(const SafetensorsFile& file) {
  std::vector<std::pair<std::string, SafetensorsEntry>> entries(file.entries().begin(),
                                                                file.entries().end());
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.second.bytes.data() < b.second.bytes.data();
  });
  return std::is_sorted(entries.begin(), entries.end(), less_in_file);
}

/// The last linear layer of an exit.
std::set<std::string> head_of(const std::vector<StateEntry>& exit) {
  std::set<std::string> names;
  for (auto entry = exit.rbegin(); entry != exit.rend(); ++entry) {
    names.insert(entry->name);
    if (entry->variable->shape().rank() == 2) break;
  }
  return names;
}

std::vector<std::int64_t> without_trailing_ones(std::span<const std::int64_t> dims) {
  while (dims.size() > 1 && dims.back() == 1) dims = dims.first(dims.size() - 1);
  return {dims.begin(), dims.end()};
}

/// weights [O, C side^2] or [O,C,side,side] -> [O,C], summed over the places: what a linear layer
/// makes of a feature [C,1,1] that was repeated at each of them.
Tensor sum_places(const Tensor& weights, const Shape& target, std::int64_t places) {
  Tensor sums = Tensor::zeros(target);
  const auto from = weights.data();
  const auto to = sums.mutable_data();
  for (std::size_t i = 0; i < to.size(); ++i) {
    double sum = 0.0;
    for (const float value :
         from.subspan(i * static_cast<std::size_t>(places), static_cast<std::size_t>(places)))
      sum += double{value};
    to[i] = static_cast<float>(sum);
  }
  return sums;
}

/// The names in the file that tell which family wrote it.
WeightNames recognize(MultiExitNetwork& network, const SafetensorsFile& file,
                      const std::string& prefix, const ImportOptions& options) {
  const std::string& name = network.config().name;
  if (options.from) return weight_names(name, *options.from);
  if (is_model_file(file)) return weight_names(name, WeightFamily::kBranchy);
  NetworkPart trunk = network.whole();
  trunk.first_exit = network.num_exits();
  const auto state = network.state(trunk);
  WeightNames best;
  std::int64_t most = -1;
  for (const WeightNames& names : weight_names(name)) {
    const std::int64_t found = std::count_if(
        state.begin(), state.end(),
        [&](const StateEntry& entry) { return file.contains(prefix + names.theirs(entry.name)); });
    if (found <= most) continue;
    most = found;
    best = names;
  }
  return best;
}

class Importer {
 public:
  Importer(MultiExitNetwork& network, const SafetensorsFile& file, const ImportOptions& options)
      : network_(network), file_(file), options_(options), place_(file.path().string()) {
    report_.origin.prefix = common_prefix(file);
    names_ = recognize(network, file, report_.origin.prefix, options);
    report_.family = names_.family;
    average_ = is_model_file(file) &&
               std::any_of(file.entries().begin(), file.entries().end(), [](const auto& entry) {
                 return entry.first.starts_with(kAveragePrefix);
               });
  }

  ImportReport run() {
    take_trunk();
    for (std::int64_t exit = 1; exit <= network_.num_exits(); ++exit) take_exit(exit);
    refuse_missing();
    refuse_misfits();
    fold_biases();
    note_origin();
    for (const auto& [name, entry] : file_.entries())
      if (!used_.contains(name) && !is_extra_tensor(name) && !has_average(name))
        report_.unused.push_back(name);
    refuse_if_strict();
    report_.filled = std::ssize(values_);
    for (auto& [name, value] : values_) variables_.at(name)->mutable_value().copy_from(value);
    return std::move(report_);
  }

 private:
  [[nodiscard]] std::string file_name(const std::string& ours) const {
    return average_ ? std::string(kAveragePrefix) + ours
                    : report_.origin.prefix + names_.theirs(ours);
  }

  /// Whether the tensor is there averaged too, which is then the one that counts.
  [[nodiscard]] bool has_average(const std::string& name) const {
    return average_ && file_.contains(std::string(kAveragePrefix) + name);
  }

  void take_trunk() {
    NetworkPart trunk = network_.whole();
    trunk.last_exit = 0;
    for (const StateEntry& entry : network_.state(trunk))
      if (!take(entry)) missing_.push_back(entry.name);
  }

  void take_exit(std::int64_t exit) {
    const auto state =
        network_.state({.first_block = 0, .end_block = 0, .first_exit = exit, .last_exit = exit});
    const bool is_final = exit == network_.num_exits();
    const std::set<std::string> head = head_of(state);
    if (is_final) final_head_ = head;
    for (const StateEntry& entry : state) {
      if (options_.replace_head && (head.contains(entry.name) || !fits_or_absent(entry))) {
        used_.insert(file_name(entry.name));
        report_.replaced.push_back(entry.name);
      } else if (!take(entry)) {
        (is_final ? missing_ : report_.unfilled).push_back(entry.name);
      }
    }
  }

  /// How a tensor of the file becomes one of the network.
  enum class Fit { kNone, kReshape, kSum };

  [[nodiscard]] Fit fit(const StateEntry& entry, const std::vector<std::int64_t>& stored) const {
    const Shape& target = entry.variable->shape();
    if (without_trailing_ones(stored) == without_trailing_ones(target.dims())) return Fit::kReshape;
    const std::int64_t side = names_.pooled_side;
    if (entry.name != names_.pooled_weight || target.rank() != 2) return Fit::kNone;
    const std::vector<std::int64_t> flat{target[0], target[1] * side * side};
    const std::vector<std::int64_t> square{target[0], target[1], side, side};
    return stored == flat || stored == square ? Fit::kSum : Fit::kNone;
  }

  [[nodiscard]] bool fits_or_absent(const StateEntry& entry) const {
    const auto found = file_.entries().find(file_name(entry.name));
    return found == file_.entries().end() || fit(entry, found->second.shape) != Fit::kNone;
  }

  /// False when the file has no such tensor.
  bool take(const StateEntry& entry) {
    const std::string name = file_name(entry.name);
    const auto found = file_.entries().find(name);
    if (found == file_.entries().end()) return false;
    used_.insert(name);
    const Shape& target = entry.variable->shape();
    const Fit how = fit(entry, found->second.shape);
    if (how == Fit::kNone) {
      misfits_.push_back(fmt::format("{} is [{}], {} expects {}", name,
                                     fmt::join(found->second.shape, ","), network_.config().name,
                                     target.to_string()));
      return true;
    }
    const Tensor stored = file_.tensor(name);
    if (how == Fit::kSum) report_.converted.push_back(name + " (summed over the pooled places)");
    values_[entry.name] = how == Fit::kSum
                              ? sum_places(stored, target, names_.pooled_side * names_.pooled_side)
                              : stored.reshape(target);
    variables_[entry.name] = entry.variable;
    return true;
  }

  // y = BN(conv x + b) = BN'(conv x) with the mean m' = m - b (running statistics), and in training
  // the bias leaves with the batch's own mean.
  void fold_biases() {
    const auto state = network_.state();
    for (std::size_t i = 0; i + 3 < state.size(); ++i) {
      const std::string bias = sibling(state[i].name, "bias");
      const std::string& mean = state[i + 3].name;
      if (state[i].variable->shape().rank() != 4 || state[i + 1].name == bias ||
          !mean.ends_with(".running_mean") || !values_.contains(mean))
        continue;
      const std::string name = file_name(bias);
      if (used_.contains(name) || !file_.contains(name)) continue;
      const Tensor shift = file_.tensor(name);
      Tensor& target = values_.at(mean);
      if (shift.shape() != target.shape())
        throw DataError(fmt::format("[{}] {} is {}, the batch norm behind it has {}", place_, name,
                                    shift.shape().to_string(), target.shape().to_string()));
      used_.insert(name);
      keep(bias);
      keep(mean);
      target = fold_bias(target, shift);
      report_.converted.push_back(name + " (folded into the batch norm behind it)");
    }
  }

  /// Keeps a tensor of the file as it is, under the network's name for it.
  void keep(const std::string& ours) {
    report_.origin.kept.emplace(ours, StoredTensor(file_.entries().at(file_name(ours))));
  }

  void note_origin() {
    if (is_model_file(file_)) {
      report_.origin = read_origin(file_);
      return;
    }
    report_.origin.family = names_.family;
    report_.origin.sorted = is_sorted_file(file_);
    std::set<std::string> dtypes;
    for (const auto& [name, value] : values_) {
      dtypes.insert(file_.entries().at(file_name(name)).dtype);
      const std::string counter = sibling(name, "num_batches_tracked");
      if (!name.ends_with(".running_mean") || !file_.contains(file_name(counter))) continue;
      used_.insert(file_name(counter));
      keep(counter);
    }
    if (dtypes.size() == 1) report_.origin.dtype = parse_float_type(*dtypes.begin());
  }

  void refuse_missing() const {
    if (missing_.empty()) return;
    std::string remedy = "give the network and family that the file is of";
    if (std::all_of(missing_.begin(), missing_.end(), [](const std::string& name) {
          return name.find(".shortcut.") != std::string::npos;
        }))
      remedy = "a network without projections has the option shortcut=option-a";
    else if (std::all_of(missing_.begin(), missing_.end(),
                         [&](const std::string& name) { return final_head_.contains(name); }))
      remedy = "give --replace-head to start the classifier anew";
    throw DataError(fmt::format("[{}] {} tensors of {} missing by the names of {} ({}); {}", place_,
                                missing_.size(), network_.config().name,
                                weight_family_name(names_.family), name_list(missing_), remedy));
  }

  void refuse_misfits() const {
    if (misfits_.empty()) return;
    throw DataError(fmt::format(
        "[{}] tensor {}{}; for other classes give --replace-head, for another width the network's "
        "option",
        place_, misfits_.front(),
        misfits_.size() > 1 ? fmt::format(", and {} more do not fit", misfits_.size() - 1) : ""));
  }

  void refuse_if_strict() const {
    if (!options_.strict || (report_.unused.empty() && report_.unfilled.empty())) return;
    const auto part = [](const char* what, const std::vector<std::string>& names) {
      return names.empty() ? "" : fmt::format(" {} {} ({});", names.size(), what, name_list(names));
    };
    throw DataError(fmt::format("[{}] strict:{}{} leave out --strict to go on without them", place_,
                                part("tensors of the file have no place", report_.unused),
                                part("tensors of the network are not there", report_.unfilled)));
  }

  MultiExitNetwork& network_;
  const SafetensorsFile& file_;
  ImportOptions options_;
  std::string place_;
  WeightNames names_;
  bool average_ = false;
  ImportReport report_;
  std::map<std::string, Tensor> values_;  // by the network's names, like `variables_`
  std::map<std::string, Variable*> variables_;
  std::set<std::string> used_;  // names in the file
  std::vector<std::string> missing_, misfits_;
  std::set<std::string> final_head_;  // by the network's names
};

}  // namespace

std::vector<std::string> ImportReport::lines() const {
  std::vector<std::string> lines{
      fmt::format("{} tensors by the names of {}", filled, weight_family_name(family))};
  const auto add = [&lines](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) lines.push_back(fmt::format("{}: {}", what, fmt::join(names, ", ")));
  };
  add("converted", converted);
  add("started anew", replaced);
  add("not in the file, left as initialised", unfilled);
  add("in the file, not used", unused);
  return lines;
}

ImportReport import_weights(MultiExitNetwork& network, const std::filesystem::path& path,
                            const ImportOptions& options) {
  return import_weights(network, SafetensorsFile(path), options);
}

ImportReport import_weights(MultiExitNetwork& network, const SafetensorsFile& file,
                            const ImportOptions& options) {
  return Importer(network, file, options).run();
}

NetworkConfig config_for_weights(NetworkConfig config, const SafetensorsFile& file,
                                 const ImportOptions& options) {
  const auto has_part = [&](std::string_view part) {
    return std::any_of(file.entries().begin(), file.entries().end(), [&](const auto& entry) {
      return entry.first.find(part) != std::string::npos;
    });
  };
  if (config.name == "resnet44" && !config.options.contains("shortcut") &&
      has_part("layer2.0.conv1") && !has_part("layer2.0.shortcut") &&
      !has_part("layer2.0.downsample"))
    config.options["shortcut"] = "option-a";
  const bool hidden_unknown = config.name == "vgg16_bn" && !config.options.contains("hidden");
  if (config.classes != 0 && !hidden_unknown) return config;
  NetworkConfig any = config;
  if (any.classes == 0) any.classes = 2;
  Rng unused(0);
  const auto network = make_network(any, unused);
  const std::string prefix = common_prefix(file);
  const WeightNames names = recognize(*network, file, prefix, options);
  const auto rows = [&](const std::string& ours) {
    const auto found = file.entries().find(prefix + names.theirs(ours));
    const bool known = found != file.entries().end() && !found->second.shape.empty();
    return known ? found->second.shape[0] : std::int64_t{0};
  };
  const std::int64_t hidden = hidden_unknown ? rows("classifier.0.weight") : 0;
  if (hidden > 0 && hidden <= 65536) config.options["hidden"] = std::to_string(hidden);
  if (config.classes != 0) return config;
  std::string head;
  for (const StateEntry& entry : network->state())
    if (entry.variable->shape().rank() == 2) head = entry.name;
  config.classes = rows(head);
  if (config.classes < 2)
    throw DataError(
        fmt::format("[{}] holds no classifier of {} ({}); give --classes, --net or --family",
                    file.path().string(), config.name, prefix + names.theirs(head)));
  return config;
}

}  // namespace branchy
