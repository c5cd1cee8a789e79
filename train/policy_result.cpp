#include "train/policy_result.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/provenance.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

std::string percent(double share) {
  return std::isnan(share) ? "n/a" : fmt::format("{:.2f}", 100.0 * share);
}

std::string millions(double operations) {
  return std::isnan(operations) ? "n/a" : fmt::format("{:.2f}", operations / 1e6);
}

std::string interval(const MeanEstimate& estimate) {
  if (estimate.count() == 0) return "n/a";
  const double half = estimate.half_width_95();
  return std::isnan(half) ? fmt::format("{:.4f}", estimate.mean())
                          : fmt::format("{:.4f} +-{:.4f}", estimate.mean(), half);
}

/// null for what does not exist.
ordered_json number(double value) {
  return std::isnan(value) ? ordered_json() : ordered_json(value);
}

bool shown(const PolicyResult& result, const CacheReports& cache, std::size_t i) {
  const bool chosen = result.chosen && result.chosen->text == cache.reports[i].policy;
  return !result.front_only || &cache != &result.main || cache.on_front[i] || chosen;
}

std::int64_t num_shown(const PolicyResult& result, const CacheReports& cache) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < cache.reports.size(); ++i) count += shown(result, cache, i) ? 1 : 0;
  return count;
}

void print_detail(const PolicyReport& report) {
  fmt::print(
      "\n{}\n  accuracy {} % of {} samples, {} % left before the final exit; mean operations {} M "
      "on the device, {} M in all (convention ptflops), {:.1f} bytes sent\n",
      report.policy, percent(report.accuracy()), report.samples,
      percent(report.share(report.on_device)), millions(report.device_operations),
      millions(report.total_operations), report.bytes_sent);
  if (report.dropped > 0)
    fmt::print("  {} samples dropped, {} % of the others right\n", report.dropped,
               percent(report.acc_answered()));
  fmt::print("{:>7} {:>8} {:>8} {:>12} {:>9} {:>18} {:>10} {:>9} {:>8}\n", "exit", "samples",
             "share %", "acc_exited %", "acc_all %", "mean confidence", "device M", "total M",
             "dropped");
  for (std::size_t i = 0; i < report.exits.size(); ++i) {
    const ExitFigures& exit = report.exits[i];
    fmt::print("{:>7} {:>8} {:>8} {:>12} {:>9} {:>18} {:>10} {:>9} {:>8}\n", i + 1, exit.samples(),
               percent(report.share(exit.samples())), percent(exit.acc_exited()),
               percent(report.share(exit.correct_all)), interval(exit.confidence),
               millions(exit.device_operations), millions(exit.total_operations), exit.dropped);
  }
  const std::int64_t answered = report.samples - report.dropped;
  fmt::print("{:>7} {:>8} {:>8} {:>12} {:>9} {:>18} {:>10} {:>9} {:>8}\n", "overall", answered,
             percent(report.share(answered)), percent(report.acc_answered()), "",
             interval(report.confidence), millions(report.device_operations),
             millions(report.total_operations), report.dropped);
}

void print_line(const PolicyReport& report, bool on_front) {
  std::string shares;
  for (const ExitFigures& exit : report.exits)
    shares += fmt::format(" {:>6}", percent(report.share(exit.samples())));
  fmt::print("{} {:>9} {:>8} {:>9} {:>9} {:>10.1f} {:>8} {}  {}\n", on_front ? '*' : ' ',
             percent(report.accuracy()), report.excess_errors, millions(report.device_operations),
             millions(report.total_operations), report.bytes_sent, report.dropped, shares,
             report.policy);
}

void print_reports(const PolicyResult& result, const CacheReports& cache, std::int64_t detailed) {
  fmt::print("{}: {} samples of {} ({}{})\n", cache.cache, cache.samples, cache.data, cache.part,
             cache.subset == "1/1" ? "" : ", subset " + cache.subset);
  const bool in_detail = num_shown(result, cache) <= detailed;
  if (!in_detail)
    fmt::print("{} {:>9} {:>8} {:>9} {:>9} {:>10} {:>8}  {}\n", ' ', "accuracy", "excess",
               "device M", "total M", "bytes", "dropped", "share % by exit, policy");
  for (std::size_t i = 0; i < cache.reports.size(); ++i) {
    if (!shown(result, cache, i)) continue;
    if (in_detail)
      print_detail(cache.reports[i]);
    else
      print_line(cache.reports[i], cache.on_front[i]);
  }
  if (!in_detail)
    fmt::print("*: on the Pareto front of accuracy over operations {}\n", name_of(result.cost));
}

void print_choice(const PolicyRecord& chosen) {
  fmt::print("\nchosen by {} on {}: {}\n", chosen.choice, chosen.select_on, chosen.text);
  if (!chosen.promise) return;
  const RiskPromise& promise = *chosen.promise;
  fmt::print(
      "  with probability {} it loses at most {} of accuracy against the full network: {} errors "
      "in "
      "{} samples prove at most {:.5f}\n",
      1.0 - promise.delta, promise.epsilon, promise.errors, promise.samples, promise.bound);
}

ordered_json to_json(const PolicyReport& report, bool on_front) {
  ordered_json json{{"policy", report.policy},
                    {"pareto", on_front},
                    {"accuracy", report.accuracy()},
                    {"acc_answered", number(report.acc_answered())},
                    {"dropped", report.dropped},
                    {"accuracy_lost", report.accuracy_lost()},
                    {"excess_errors", report.excess_errors},
                    {"on_device_share", report.share(report.on_device)},
                    {"mean_confidence", number(report.confidence.mean())},
                    {"mean_confidence_ci95", number(report.confidence.half_width_95())},
                    {"mean_device_operations", report.device_operations},
                    {"mean_total_operations", report.total_operations},
                    {"mean_bytes_sent", report.bytes_sent}};
  for (std::size_t i = 0; i < report.exits.size(); ++i) {
    const ExitFigures& exit = report.exits[i];
    json["exits"].push_back({{"exit", i + 1},
                             {"samples", exit.samples()},
                             {"share", report.share(exit.samples())},
                             {"acc_exited", number(exit.acc_exited())},
                             {"acc_all", report.share(exit.correct_all)},
                             {"mean_confidence", number(exit.confidence.mean())},
                             {"mean_confidence_ci95", number(exit.confidence.half_width_95())},
                             {"mean_device_operations", number(exit.device_operations)},
                             {"mean_total_operations", number(exit.total_operations)},
                             {"dropped", exit.dropped}});
  }
  return json;
}

ordered_json to_json(const PolicyResult& result, const CacheReports& cache) {
  ordered_json json{{"cache", cache.cache},     {"cache_digest", cache.digest},
                    {"data", cache.data},       {"data_checksum", cache.data_checksum},
                    {"part", cache.part},       {"subset", cache.subset},
                    {"samples", cache.samples}, {"policies", ordered_json::array()}};
  for (std::size_t i = 0; i < cache.reports.size(); ++i)
    if (shown(result, cache, i))
      json["policies"].push_back(to_json(cache.reports[i], cache.on_front[i]));
  return json;
}

ordered_json to_json(const PolicyRecord& chosen) {
  ordered_json json{{"by", chosen.choice}, {"policy", chosen.text}};
  if (chosen.promise)
    json["promise"] = {{"epsilon", chosen.promise->epsilon},
                       {"delta", chosen.promise->delta},
                       {"samples", chosen.promise->samples},
                       {"errors", chosen.promise->errors},
                       {"bound", chosen.promise->bound}};
  return json;
}

void add_rows(const PolicyResult& result, const CacheReports& cache, std::string& csv) {
  const auto cell = [](double value) {
    return std::isnan(value) ? std::string() : fmt::format("{}", value);
  };
  for (std::size_t i = 0; i < cache.reports.size(); ++i) {
    if (!shown(result, cache, i)) continue;
    const PolicyReport& report = cache.reports[i];
    csv += fmt::format("\"{}\",{},{},{},{},{},{},{},{},{},{},{},{}", report.policy, cache.part,
                       report.samples, cache.on_front[i] ? 1 : 0, report.accuracy(),
                       cell(report.acc_answered()), report.dropped, report.excess_errors,
                       report.share(report.on_device), cell(report.confidence.mean()),
                       report.device_operations, report.total_operations, report.bytes_sent);
    for (const ExitFigures& exit : report.exits)
      csv += fmt::format(",{},{},{},{},{},{}", exit.samples(), report.share(exit.samples()),
                         cell(exit.acc_exited()), report.share(exit.correct_all),
                         cell(exit.confidence.mean()), cell(exit.confidence.half_width_95()));
    csv += '\n';
  }
}

}  // namespace

void print_policies(const PolicyResult& result, std::int64_t detailed) {
  fmt::print("{} {:.12}, temperatures {}\n", result.network, result.model_digest,
             fmt::join(result.temperatures, " "));
  if (result.gate)
    for (std::size_t i = 0; i < result.gate->weights.size(); ++i)
      fmt::print("gate of exit {}, target {} ({} samples): {}, mean loss {:.4f}\n", i + 1,
                 result.gate->options.target, result.gate->yes[i], result.gate->weights[i],
                 result.gate->loss[i]);
  if (!result.main.reports.empty()) print_reports(result, result.main, detailed);
  if (result.chosen) print_choice(*result.chosen);
  if (!result.test) return;
  fmt::print("\n");
  print_reports(result, *result.test, detailed);
  if (!result.chosen || !result.chosen->promise) return;
  const PolicyReport& report = result.test->reports.front();
  fmt::print(
      "here it loses {:.5f} of accuracy ({:.5f} if what only it gets right is not credited), "
      "promised: at most {}\n",
      report.accuracy_lost(), report.share(report.excess_errors), result.chosen->promise->epsilon);
}

std::string to_json(const PolicyResult& result) {
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["network"] = result.network;
  json["model_digest"] = result.model_digest;
  json["temperatures"] = result.temperatures;
  json["pareto_cost"] = result.cost == OperationsOn::kDevice ? "device" : "total";
  json["select_on"] = result.chosen ? ordered_json(result.chosen->select_on) : ordered_json();
  if (result.gate)
    json["gate"] = {{"target", result.gate->options.target},
                    {"cost_weight", result.gate->options.cost_weight},
                    {"ridge", result.gate->options.ridge},
                    {"yes", result.gate->yes},
                    {"loss", result.gate->loss},
                    {"weights", result.gate->weights}};
  json.update(to_json(result, result.main));
  if (result.chosen) json["chosen"] = to_json(*result.chosen);
  if (result.test) json["test"] = to_json(result, *result.test);
  return json.dump(2) + "\n";
}

std::string to_csv(const PolicyResult& result) {
  std::string csv =
      "policy,part,samples,pareto,accuracy,acc_answered,dropped,excess_errors,on_device_share,"
      "mean_confidence,mean_device_operations,mean_total_operations,mean_bytes_sent";
  for (std::size_t exit = 1; exit <= result.temperatures.size(); ++exit)
    csv += fmt::format(
        ",samples_{0},share_{0},acc_exited_{0},acc_all_{0},mean_confidence_{0},"
        "mean_confidence_ci95_{0}",
        exit);
  csv += '\n';
  add_rows(result, result.main, csv);
  if (result.test) add_rows(result, *result.test, csv);
  return csv;
}

}  // namespace branchy
