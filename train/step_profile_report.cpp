#include "train/step_profile_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/provenance.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

/// Means of a step.
struct Total {
  double calls = 0.0, ms = 0.0;
  WorkAmount amount;

  void add(const StepProfile::Row& row, double steps) {
    calls += static_cast<double>(row.calls) / steps;
    ms += 1000.0 * row.seconds / steps;
    amount.flops += row.amount.flops / steps;
    amount.bytes += row.amount.bytes / steps;
  }
  [[nodiscard]] double gflops() const { return ms > 0.0 ? amount.flops / ms * 1e-6 : 0.0; }
  [[nodiscard]] double gbytes() const { return ms > 0.0 ? amount.bytes / ms * 1e-6 : 0.0; }
  [[nodiscard]] double per_cent_of(const MachineCeiling& ceiling) const {
    const double needed =
        std::max(1e-9 * amount.flops / ceiling.gflops, 1e-9 * amount.bytes / ceiling.gb_per_second);
    return ms > 0.0 ? 100.0 * 1000.0 * needed / ms : 0.0;
  }
};

struct OwnerTotal {
  WorkOwner owner;
  double forward_ms = 0.0, backward_ms = 0.0;
  std::array<double, kNumStepWorks> ms{};
  [[nodiscard]] double total_ms() const { return forward_ms + backward_ms; }
};

struct Totals {
  explicit Totals(const StepProfile& profile)
      : steps(static_cast<double>(profile.num_steps())),
        wall_ms(1000.0 * profile.seconds() / steps) {
    for (const StepProfile::Row& row : profile.rows()) {
      kinds[static_cast<std::size_t>(row.work)].add(row, steps);
      all.add(row, steps);
      add_to_owner(row);
    }
  }

  [[nodiscard]] const Total& of(StepWork work) const {
    return kinds[static_cast<std::size_t>(work)];
  }

  double steps, wall_ms;
  std::array<Total, kNumStepWorks> kinds;
  Total all;
  std::vector<OwnerTotal> owners;

 private:
  void add_to_owner(const StepProfile::Row& row) {
    auto found = std::find_if(owners.begin(), owners.end(),
                              [&](const OwnerTotal& o) { return o.owner.name == row.owner.name; });
    if (found == owners.end()) found = owners.insert(owners.end(), {.owner = row.owner, .ms = {}});
    const double ms = 1000.0 * row.seconds / steps;
    (row.direction == Direction::kForward ? found->forward_ms : found->backward_ms) += ms;
    found->ms[static_cast<std::size_t>(row.work)] += ms;
  }
};

std::string owner_name(const WorkOwner& owner) {
  return owner.name.empty() ? "(no layer)" : owner.name;
}

std::string kinds_text(const Totals& totals, const MachineCeiling& ceiling) {
  std::string text = fmt::format("{:<30} {:>8} {:>9} {:>6} {:>9} {:>8} {:>11}\n", "kind of work",
                                 "calls", "ms", "%", "GFLOP/s", "GB/s", "% of ceiling");
  const auto line = [&](std::string_view name, const Total& t) {
    text += fmt::format("{:<30} {:>8.0f} {:>9.2f} {:>6.1f} {:>9.1f} {:>8.1f} {:>11.0f}\n", name,
                        t.calls, t.ms, 100.0 * t.ms / totals.wall_ms, t.gflops(), t.gbytes(),
                        t.per_cent_of(ceiling));
  };
  for (std::size_t i = 0; i < kNumStepWorks; ++i)
    if (totals.kinds[i].calls > 0.0) line(name_of(static_cast<StepWork>(i)), totals.kinds[i]);
  line("sum", totals.all);
  return text;
}

std::string owners_text(Totals totals) {
  constexpr std::size_t kShown = 25;
  std::stable_sort(
      totals.owners.begin(), totals.owners.end(),
      [](const OwnerTotal& a, const OwnerTotal& b) { return a.total_ms() > b.total_ms(); });
  std::string text = fmt::format("{:<30} {:<20} {:>11} {:>12} {:>6}\n", "layer", "type",
                                 "forward ms", "backward ms", "%");
  double rest = 0.0;
  for (std::size_t i = 0; i < totals.owners.size(); ++i) {
    const OwnerTotal& o = totals.owners[i];
    if (i >= kShown)
      rest += o.total_ms();
    else
      text += fmt::format("{:<30} {:<20} {:>11.2f} {:>12.2f} {:>6.1f}\n", owner_name(o.owner),
                          o.owner.type, o.forward_ms, o.backward_ms,
                          100.0 * o.total_ms() / totals.wall_ms);
  }
  if (rest > 0.0)
    text += fmt::format("{:<30} {:<20} {:>24.2f} {:>6.1f}\n",
                        fmt::format("{} others", totals.owners.size() - kShown), "", rest,
                        100.0 * rest / totals.wall_ms);
  return text;
}

ordered_json to_json(const Total& t, double wall_ms, const MachineCeiling& ceiling) {
  return {{"calls", t.calls},
          {"ms", t.ms},
          {"share", t.ms / wall_ms},
          {"flops", t.amount.flops},
          {"bytes", t.amount.bytes},
          {"gflops_per_second", t.gflops()},
          {"gb_per_second", t.gbytes()},
          {"per_cent_of_ceiling", t.per_cent_of(ceiling)}};
}

}  // namespace

std::string profile_table(const StepProfile& profile, const ProfiledRun& run) {
  const Totals totals(profile);
  return fmt::format(
      "{} steps of {}, batch {}: {:.1f} ms a step, {:.1f} images/s; ceiling of the compute "
      "threads: {:.0f} GFLOP/s, {:.1f} GB/s\n{}"
      "a step moves {:.0f} MB, {:.1f} of them in reorders\n\n{}",
      profile.num_steps(), run.network, run.batch, totals.wall_ms,
      1000.0 * static_cast<double>(run.batch) / totals.wall_ms, run.ceiling.gflops,
      run.ceiling.gb_per_second, kinds_text(totals, run.ceiling), 1e-6 * totals.all.amount.bytes,
      1e-6 * (totals.of(StepWork::kReorder).amount.bytes +
              totals.of(StepWork::kWeightReorder).amount.bytes),
      owners_text(totals));
}

std::string profile_json(const StepProfile& profile, const ProfiledRun& run) {
  const Totals totals(profile);
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["network"] = run.network;
  json["batch"] = run.batch;
  json["steps"] = profile.num_steps();
  json["ms_per_step"] = totals.wall_ms;
  json["ceiling"] = {{"gflops_per_second", run.ceiling.gflops},
                     {"gb_per_second", run.ceiling.gb_per_second}};
  for (std::size_t i = 0; i < kNumStepWorks; ++i)
    json["kinds"][std::string(name_of(static_cast<StepWork>(i)))] =
        to_json(totals.kinds[i], totals.wall_ms, run.ceiling);
  json["sum"] = to_json(totals.all, totals.wall_ms, run.ceiling);
  for (const OwnerTotal& o : totals.owners) {
    ordered_json layer{{"name", o.owner.name},
                       {"type", o.owner.type},
                       {"forward_ms", o.forward_ms},
                       {"backward_ms", o.backward_ms}};
    for (std::size_t i = 0; i < kNumStepWorks; ++i)
      if (o.ms[i] > 0.0) layer["ms"][std::string(name_of(static_cast<StepWork>(i)))] = o.ms[i];
    json["layers"].push_back(layer);
  }
  return json.dump(2) + "\n";
}

}  // namespace branchy
