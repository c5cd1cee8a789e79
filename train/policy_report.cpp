#include "train/policy_report.h"

#include <exception>
#include <limits>

#include "train/interrupt.h"

namespace branchy {

namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : static_cast<double>(part) / static_cast<double>(whole);
}

/// Which exits classify each sample correctly: bit n - 1 is exit n.
std::vector<std::uint64_t> right_exits(const StoredExits& exits) {
  std::vector<std::uint64_t> right;
  right.reserve(static_cast<std::size_t>(exits.num_samples()));
  for (std::int64_t sample = 0; sample < exits.num_samples(); ++sample) {
    std::uint64_t bits = 0;
    for (const ExitView& view : exits.views(sample))
      if (view.prediction.label == exits.label(sample))
        bits |= std::uint64_t{1} << static_cast<unsigned>(view.prediction.exit - 1);
    right.push_back(bits);
  }
  return right;
}

bool has_bit(std::uint64_t bits, std::int64_t exit) {
  return (bits >> static_cast<unsigned>(exit - 1) & 1U) != 0;
}

/// Sums of operations in integers, which no order of adding changes.
struct Operations {
  std::int64_t samples = 0, device = 0, total = 0;
  void add(const SampleOutcome& outcome) {
    ++samples;
    device += outcome.device_operations;
    total += outcome.total_operations;
  }
};

PolicyReport report_policy(const StoredExits& exits, const ExitPolicy& policy,
                           std::span<const std::uint64_t> right) {
  const std::int64_t last = exits.num_exits();
  PolicyReport report{.policy = policy.text(),
                      .samples = exits.num_samples(),
                      .exits = std::vector<ExitFigures>(static_cast<std::size_t>(last))};
  std::vector<Operations> paid(report.exits.size());
  Operations all;
  std::int64_t bytes = 0;
  const auto outcomes = simulate_policy(exits, policy);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const SampleOutcome& outcome = outcomes[i];
    ExitFigures& exit = report.exits[static_cast<std::size_t>(outcome.exit - 1)];
    paid[static_cast<std::size_t>(outcome.exit - 1)].add(outcome);
    all.add(outcome);
    bytes += outcome.bytes_sent;
    report.on_device += outcome.exit < last ? 1 : 0;
    // Of the answer, not of its exit: an ensemble may answer what no exit does.
    const bool correct =
        !outcome.dropped && outcome.answer.label == exits.label(static_cast<std::int64_t>(i));
    report.excess_errors += has_bit(right[i], last) && !correct ? 1 : 0;
    if (outcome.dropped) {
      ++exit.dropped;
      ++report.dropped;
      continue;
    }
    exit.correct += correct ? 1 : 0;
    report.correct += correct ? 1 : 0;
    exit.confidence.add(static_cast<double>(outcome.answer.confidence));
    report.confidence.add(static_cast<double>(outcome.answer.confidence));
  }
  report.device_operations = ratio(all.device, all.samples);
  report.total_operations = ratio(all.total, all.samples);
  report.bytes_sent = ratio(bytes, all.samples);
  for (std::size_t i = 0; i < paid.size(); ++i) {
    report.exits[i].device_operations = ratio(paid[i].device, paid[i].samples);
    report.exits[i].total_operations = ratio(paid[i].total, paid[i].samples);
  }
  return report;
}

/// `correct_all` of every exit, which no policy changes.
std::vector<std::int64_t> count_right(std::span<const std::uint64_t> right, std::int64_t exits) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(exits));
  for (const std::uint64_t bits : right)
    for (std::int64_t exit = 1; exit <= exits; ++exit)
      counts[static_cast<std::size_t>(exit - 1)] += has_bit(bits, exit) ? 1 : 0;
  return counts;
}

}  // namespace

std::string_view name_of(OperationsOn where) {
  return where == OperationsOn::kDevice ? "on the device" : "in all";
}

double ExitFigures::acc_exited() const { return ratio(correct, samples()); }

double PolicyReport::accuracy() const { return share(correct); }

double PolicyReport::accuracy_lost() const { return share(exits.back().correct_all) - accuracy(); }

double PolicyReport::acc_answered() const { return ratio(correct, samples - dropped); }

double PolicyReport::share(std::int64_t count) const { return ratio(count, samples); }

std::vector<PolicyReport> report_policies(const StoredExits& exits,
                                          std::span<const PolicyPtr> policies,
                                          const std::function<void(double)>& progress) {
  const auto right = right_exits(exits);
  const auto counts = count_right(right, exits.num_exits());
  std::vector<PolicyReport> reports(policies.size());
  std::exception_ptr failure;
  const std::int64_t count = std::ssize(policies);
  std::int64_t done = 0;
#pragma omp parallel for schedule(static, 1)
  for (std::int64_t i = 0; i < count; ++i) {
    if (Interrupt::requested()) continue;
    try {
      const auto index = static_cast<std::size_t>(i);
      reports[index] = report_policy(exits, *policies[index], right);
      for (std::size_t exit = 0; exit < counts.size(); ++exit)
        reports[index].exits[exit].correct_all = counts[exit];
#pragma omp critical(policy_progress)
      if (++done % 256 == 0 && progress)
        progress(static_cast<double>(done) / static_cast<double>(count));
    } catch (...) {
#pragma omp critical(policy_progress)
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  if (Interrupt::requested()) return {};
  return reports;
}

}  // namespace branchy
