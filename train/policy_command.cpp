#include "train/policy_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/threads.h"
#include "infer/policies/gate.h"
#include "infer/policies/policy_record.h"
#include "infer/policies/policy_text.h"
#include "train/checkpoint.h"
#include "train/gate_fit.h"
#include "train/interrupt.h"
#include "train/pareto_front.h"
#include "train/policy_grid.h"
#include "train/policy_inputs.h"
#include "train/policy_result.h"
#include "train/policy_selection.h"
#include "train/progress.h"

namespace branchy {

namespace {

/// Policies up to which the table shows every exit.
constexpr std::int64_t kDetailed = 8;
/// Text of --policy for the one that the model holds.
constexpr std::string_view kStored = "stored";

struct PolicyCommand {
  std::string cache, model, test, temperatures, subset = "1/1", cost = "device";
  std::vector<std::string> policies, sweeps;
  std::string choose, select_on = "val";
  RiskTarget risk;
  bool pareto = false, fit_gate = false, json = false;
  GateFitOptions gate;
  std::string out, csv, report;
  std::int64_t threads = 0;
};

/// What the policies of the command line are made of.
struct Subject {
  PolicySamples samples;
  std::optional<LoadedModel> model = {};
  std::vector<float> temperatures = {};
  PolicyRecords records = {};  ///< the model's, with the gate that was just fitted
};

/// The policies to look at, as sequences for risk control.
struct PolicyList {
  std::vector<PolicyPtr> policies;
  std::vector<std::int64_t> lengths;
};

bool is_gate(std::string_view policy) { return policy.starts_with(GatePolicy::kName); }

void check_flags(const PolicyCommand& c) {
  if (c.policies.empty() && c.sweeps.empty() && !c.fit_gate)
    throw ConfigError("[policy] nothing to do; give --policy, --sweep or --fit-gate");
  if (!c.out.empty() && c.model.empty())
    throw ConfigError("[policy] --out writes the model with what was chosen; give MODEL too");
  if (!c.out.empty() && c.choose.empty() && !c.fit_gate)
    throw ConfigError("[policy] --out has nothing to write without --choose or --fit-gate");
  if (!c.choose.empty() && c.policies.empty() && c.sweeps.empty())
    throw ConfigError("[policy] --choose needs policies to choose from; give --sweep or --policy");
  if (c.choose == "risk" && c.fit_gate)
    throw ConfigError(
        "[policy] --choose risk on the samples that the gate is fitted to proves nothing; fit with "
        "--subset 1/2 --out FILE first, then choose with --subset 2/2");
  c.risk.validate();
}

Subject open_subject(const PolicyCommand& c) {
  Subject subject{.samples = open_policy_samples(c.cache, parse_cache_subset(c.subset))};
  const LogitsCache& cache = subject.samples.cache;
  if ((!c.choose.empty() || c.fit_gate) && cache.part != c.select_on)
    throw ConfigError(fmt::format(
        "[policy] {} holds the part {} of its data; to choose on it say --select-on {}{}", c.cache,
        cache.part, cache.part,
        cache.part == "test" ? ", and report no accuracy of the same images as a result" : ""));
  if (!c.model.empty()) {
    subject.model = load_trained(c.model);
    require_same_model(cache, c.cache, *subject.model);
    subject.records = subject.model->info.records;
  }
  const LoadedModel* model = subject.model ? &*subject.model : nullptr;
  subject.temperatures = resolve_temperatures(c.temperatures, cache, model);
  if (!c.out.empty() &&
      subject.temperatures != resolve_temperatures("model", cache, &*subject.model))
    throw ConfigError(
        "[policy] --out with temperatures that are not the model's; leave --temperatures out, or "
        "calibrate the model first");
  return subject;
}

/// The text of the model's policy, which must still decide as it did when it was chosen.
std::string stored_policy(const Subject& subject) {
  if (!subject.model) throw ConfigError("[policy] --policy stored, but no MODEL is given");
  const ModelInfo& info = subject.model->info;
  const auto record = read_policy_record(info);
  if (!record)
    throw ConfigError("[policy] --policy stored, but the model holds none; choose one with --out");
  if (!same_temperatures(*record, info))
    throw ConfigError(
        "[policy] the model's policy was chosen with other temperatures; choose it again");
  return record->text;
}

PolicyList make_policies(const PolicyCommand& c, const Subject& subject) {
  PolicyList list;
  const auto add = [&](const std::string& text) {
    list.policies.push_back(parse_policy(text, subject.samples.cache.num_exits(), subject.records));
    if (c.choose == "risk" && is_gate(list.policies.back()->text()))
      require_unseen_by_gate(subject.samples, subject.records);
  };
  for (const std::string& text : c.policies) {
    add(text == kStored ? stored_policy(subject) : text);
    list.lengths.push_back(1);
  }
  for (const std::string& sweep : c.sweeps) {
    const PolicyGrid grid = parse_policy_grid(sweep);
    for (const std::string& text : grid.texts) add(text);
    list.lengths.insert(list.lengths.end(), static_cast<std::size_t>(grid.lines),
                        std::ssize(grid.texts) / grid.lines);
  }
  for (const PolicyPtr& policy : list.policies) {
    if (!policy->needs_scores()) continue;
    if (!subject.samples.cache.scores.defined())
      throw ConfigError(
          fmt::format("[policy] {} needs scores of an exit predictor, {} holds none; train one and "
                      "run `branchy infer-all` again",
                      policy->text(), c.cache));
    if (subject.model) require_same_predictor(subject.samples, *subject.model);
    break;
  }
  return list;
}

OperationsOn cost_of(const PolicyCommand& c) {
  return c.cost == "device" ? OperationsOn::kDevice : OperationsOn::kTotal;
}

CacheReports report_on(const PolicySamples& samples, const Subject& subject,
                       std::span<const PolicyPtr> policies, OperationsOn cost) {
  const LogitsCache& cache = samples.cache;
  CacheReports result{.cache = samples.path.string(),
                      .digest = samples.digest,
                      .data = cache.data,
                      .data_checksum = cache.data_checksum,
                      .part = cache.part,
                      .subset = to_text(samples.subset),
                      .samples = cache.num_samples()};
  const StoredExits exits(cache, subject.temperatures);
  Progress progress("policy");
  result.reports = report_policies(exits, policies, [&](double share) {
    progress.update(share, fmt::format("of {} policies", policies.size()));
  });
  if (Interrupt::requested()) throw CLI::RuntimeError(kInterruptedExitCode);
  std::vector<CostValue> points;
  points.reserve(result.reports.size());
  for (const PolicyReport& report : result.reports)
    points.push_back({.cost = report.operations(cost), .value = report.accuracy()});
  result.on_front.resize(points.size());
  for (const std::int64_t index : pareto_front(points))
    result.on_front[static_cast<std::size_t>(index)] = true;
  return result;
}

/// The choice among the reports, as the model will keep it.
std::pair<PolicyRecord, std::int64_t> choose(const PolicyCommand& c, const Subject& subject,
                                             const PolicyList& list, const CacheReports& reports) {
  SelectionRule rule = parse_selection_rule(c.choose);
  rule.cost = cost_of(c);
  rule.risk = c.risk;
  const Selection selection = select_policy(reports.reports, list.lengths, rule);
  const PolicyReport& report = reports.reports[static_cast<std::size_t>(selection.index)];
  PolicyRecord record{.text = report.policy,
                      .choice = std::string(name_of(rule.kind)),
                      .select_on = c.select_on,
                      .data_checksum = reports.data_checksum,
                      .cache_digest = reports.digest,
                      .subset = reports.subset,
                      .temperatures = subject.temperatures};
  if (selection.risk)
    record.promise = {.epsilon = c.risk.epsilon,
                      .delta = c.risk.delta,
                      .samples = report.samples,
                      .errors = report.excess_errors,
                      .bound = selection.risk->bound};
  return {record, selection.index};
}

void write_results(const PolicyCommand& c, const PolicyResult& result, Subject& subject) {
  if (!c.out.empty()) {
    LoadedModel& model = *subject.model;
    model.info.records = subject.records;
    if (result.chosen) {
      write_policy_record(model.info, *result.chosen);
    } else if (const auto kept = read_policy_record(model.info); kept && is_gate(kept->text)) {
      erase_policy_record(model.info);
      fmt::print(stderr, "the policy {} was chosen for another gate: removed\n", kept->text);
    }
    save_model(c.out, *model.network, model.info, model.attachments);
  }
  if (!c.csv.empty()) write_file_atomically(c.csv, to_csv(result));
  if (!c.report.empty()) write_file_atomically(c.report, to_json(result));
  if (c.json)
    fmt::print("{}", to_json(result));
  else
    print_policies(result, kDetailed);
  if (!c.out.empty() && !c.json) fmt::print("\n{}: the model with it\n", c.out);
}

void run(const PolicyCommand& c) {
  check_flags(c);
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  const Interrupt interrupt;
  Subject subject = open_subject(c);
  std::optional<PolicySamples> test;
  if (!c.test.empty()) {
    test = open_policy_samples(c.test, {});
    require_comparable(subject.samples, *test);
  }
  PolicyResult result{.network = subject.samples.cache.network,
                      .model_digest = subject.samples.cache.model_digest,
                      .temperatures = subject.temperatures,
                      .cost = cost_of(c),
                      .front_only = c.pareto};
  if (c.fit_gate)
    result.gate = fit_gate(subject.samples, subject.temperatures, c.gate, subject.records);
  PolicyList list = make_policies(c, subject);
  result.main = report_on(subject.samples, subject, list.policies, result.cost);
  if (!c.choose.empty()) {
    const auto [record, index] = choose(c, subject, list, result.main);
    result.chosen = record;
    list.policies = {list.policies[static_cast<std::size_t>(index)]};
  }
  if (test) result.test = report_on(*test, subject, list.policies, result.cost);
  write_results(c, result, subject);
}

void add_selection_flags(CLI::App& app, PolicyCommand& command) {
  app.add_option("--choose", command.choose,
                 "Choose one of the policies: best-accuracy (ties: the cheapest), "
                 "budget=OPERATIONS (the most accurate whose mean operations stay within it), or "
                 "risk (the cheapest that with probability 1 - delta loses at most epsilon of "
                 "accuracy against the full network: Learn-then-Test with exact binomial tails; "
                 "every sweep is to run from the safest to the least safe setting, delta is "
                 "shared among the sequences of all sweeps)");
  app.add_option("--epsilon", command.risk.epsilon, "risk: the accuracy that may be lost")
      ->capture_default_str();
  app.add_option("--delta", command.risk.delta, "risk: the probability that the promise breaks")
      ->capture_default_str();
  app.add_option("--select-on", command.select_on,
                 "The part of the data that CACHE must hold for choosing and fitting; recorded. "
                 "Choosing on test makes its accuracies no test results")
      ->check(CLI::IsMember({"val", "test", "train", "all"}))
      ->capture_default_str();
  app.add_option("--cost", command.cost,
                 "Operations that count for --choose and the Pareto front: on the device, or in "
                 "total")
      ->check(CLI::IsMember({"device", "total"}))
      ->capture_default_str();
  app.add_option("--test", command.test,
                 "Report the chosen policy, or without --choose every one, on this cache too");
}

void add_gate_flags(CLI::App& app, PolicyCommand& command) {
  app.add_flag("--fit-gate", command.fit_gate,
               "Learn the weights of the gate policy on CACHE first (logistic regression for each "
               "early exit); with --out the model keeps them");
  app.add_option("--gate-target", command.gate.target,
                 "What a gate learns to say yes to: right (the exit's class is right), or cost "
                 "(leaving costs less than the best later exit: cross-entropy + weight * share of "
                 "operations, JEI-DNN)")
      ->check(CLI::IsMember({"right", "cost"}))
      ->capture_default_str();
  app.add_option("--gate-cost-weight", command.gate.cost_weight,
                 "cost: the weight of a full run's operations against cross-entropy")
      ->capture_default_str();
  app.add_option("--gate-ridge", command.gate.ridge,
                 "Penalty on the squared weights of standardised features")
      ->capture_default_str();
}

}  // namespace

void add_policy_command(CLI::App& app) {
  CLI::App* policy = app.add_subcommand(
      "policy",
      "Evaluate, sweep and choose exit policies on a logits cache of `branchy infer-all`");
  const auto command = std::make_shared<PolicyCommand>();
  policy->add_option("cache", command->cache, "Logits cache")->required();
  policy->add_option("model", command->model,
                     "Run folder or model file that the cache is of (checked); its temperatures, "
                     "records and predictor are used");
  policy->add_option(
      "--policy", command->policies,
      fmt::format("A policy, may be given again: {}; or stored, that of MODEL", policy_usage()));
  policy->add_option(
      "--sweep", command->sweeps,
      "Many policies: a policy in which any number may be a set A|B|..., of numbers and ranges "
      "LOW..HIGH/STEP (falling when LOW > HIGH); every combination is taken, the last set running "
      "fastest. max-probability:0.99..0.2/0.01 (one threshold for all exits), "
      "max-probability:0.2..0.99/0.01+0.2..0.99/0.01 (each exit its own), entropy:0.1|0.3|0.5");
  policy->add_flag(
      "--pareto", command->pareto,
      "Show only policies on the Pareto front of accuracy over operations (--cost), and "
      "the chosen one");
  add_selection_flags(*policy, *command);
  add_gate_flags(*policy, *command);
  policy->add_option("--temperatures", command->temperatures,
                     "model (default with MODEL), cache (as the model had when the cache was made; "
                     "default without), none, or T1,T2,... one an exit");
  policy
      ->add_option("--subset", command->subset,
                   "I/N: only every Nth sample of CACHE from the Ith on, e.g. to fit on 1/2 and "
                   "choose on 2/2")
      ->capture_default_str();
  policy->add_option("--out", command->out,
                     "Write MODEL with the chosen policy, its promise and the fitted gate to this "
                     "file (may be MODEL itself)");
  policy->add_option("--report", command->report, "Write the results as JSON to this file");
  policy->add_option("--csv", command->csv, "Write one row a policy to this file");
  policy->add_flag("--json", command->json, "Print JSON instead of tables");
  policy->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  policy->callback([command] { run(*command); });
}

}  // namespace branchy
