#include "experiments/split_lee.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/printable.h"
#include "experiments/gnuplot.h"
#include "experiments/lee_latency.h"
#include "experiments/link_emulator.h"
#include "experiments/named_model.h"
#include "experiments/split_options.h"
#include "experiments/timed_answer.h"
#include "infer/model.h"
#include "infer/model_images.h"
#include "infer/protocol.h"

namespace branchy {
namespace {

using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct LeeCommand : SplitOptions {
  std::vector<std::string> models;  ///< NAME=RUN
  std::vector<double> thresholds{0.1, 0.3, 0.5, 0.8};
  std::vector<std::int64_t> exits{2, 5, 8};
  std::int64_t batch = 32, batch_wait_us = 2000;
};

/// Images of a data set as infer requests of a batch each.
class Batches {
 public:
  Batches(std::shared_ptr<const Dataset> images, const LeeCommand& c)
      : images_(std::move(images)),
        batch_(c.batch),
        count_(c.limit > 0 ? std::min(c.limit, images_->size()) : images_->size()) {}

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] std::int64_t label(std::int64_t index) const { return images_->label(index); }
  [[nodiscard]] std::int64_t rows(std::int64_t first) const {
    return std::min(batch_, count_ - first);
  }
  [[nodiscard]] WireMessage request(std::int64_t first) const {
    const auto size = static_cast<std::size_t>(images_->image_shape().size());
    const std::int64_t rows = this->rows(first);
    std::vector<std::uint8_t> pixels(size * static_cast<std::size_t>(rows));
    for (std::int64_t row = 0; row < rows; ++row)
      images_->read(first + row,
                    std::span(pixels).subspan(static_cast<std::size_t>(row) * size, size));
    std::vector<std::int64_t> shape{rows};
    for (const std::int64_t dim : images_->image_shape().dims()) shape.push_back(dim);
    InferRequest message;
    message.inputs.push_back(uint8_tensor("image", shape, pixels));
    return build_infer_request(message);
  }

 private:
  std::shared_ptr<const Dataset> images_;
  std::int64_t batch_, count_;
};

/// The test node: a batch after another to the edge.
class TestNode {
 public:
  TestNode(int port, const std::string& model)
      : client_({.host = "127.0.0.1", .port = port}),
        path_(fmt::format("/v2/models/{}/infer", model)) {}

  void ask(const Batches& batches, std::int64_t first, std::vector<LeeSample>& samples) {
    const WireMessage wire = batches.request(first);
    const TimedAnswer answer =
        client_.post(path_,
                     {{"Content-Type", std::string(wire.content_type())},
                      {std::string(kInferenceHeader), std::to_string(wire.json_bytes.value_or(0))},
                      {"Accept", "application/x-ndjson"}},
                     wire.body);
    const std::int64_t rows = batches.rows(first);
    if (answer.status != 200 || std::ssize(answer.lines) != rows)
      throw DataError(fmt::format("[split lee] {} images were answered with {} and {} lines: {}",
                                  rows, answer.status, answer.lines.size(),
                                  answer.lines.empty() ? "" : printable(answer.lines[0].text)));
    for (const TimedLine& line : answer.lines) {
      const auto json = nlohmann::json::parse(line.text);
      if (json.contains("error"))
        throw DataError(fmt::format("[split lee] a row was refused: {}", printable(line.text)));
      const std::int64_t index = first + json.at("index").get<std::int64_t>();
      samples.push_back({.ms = line.ms,
                         .right = json.at("class") == batches.label(index),
                         .from_cloud = json.at("where") == "cloud",
                         .degraded = json.at("degraded").get<bool>()});
    }
  }

 private:
  TimedClient client_;
  std::string path_;
};

class LeeBench {
 public:
  explicit LeeBench(const LeeCommand& command) : c_(command) {}

  void run(const NamedModel& model) {
    export_model(c_.programs, model.path, {"--whole"}, "whole");
    const ServedModel whole = load_served_model(exported_model(c_.programs, "whole", "model"));
    const Batches batches(open_images(whole.info, *whole.image_shape, {.data = c_.data}).images,
                          c_);
    const std::int64_t early = whole.info.config.early_exits;
    for (const std::int64_t exit : early == 1 ? std::vector<std::int64_t>{1} : c_.exits) {
      if (exit > early) continue;
      export_model(c_.programs, model.path, {"--cut", std::to_string(exit)}, "split");
      // A network whose exits are all active needs no list of them.
      const std::string active = early == 1 ? "" : fmt::format(",active={}", exit);
      for (const double threshold : c_.thresholds)
        measure(model.name, whole.info.config.name, exit,
                fmt::format("entropy:{}{}", threshold, active), threshold, batches);
    }
  }
  [[nodiscard]] const std::vector<LeeLatencyRow>& rows() const { return rows_; }

 private:
  void measure(const std::string& name, const std::string& network, std::int64_t exit,
               const std::string& policy, double threshold, const Batches& batches) {
    CloudProgram cloud(c_.programs, exported_model(c_.programs, "split", "cloud"),
                       {"--batch-wait-us", std::to_string(c_.batch_wait_us), "--max-batch",
                        std::to_string(c_.batch)});
    const LinkEmulator to_cloud({.target_port = cloud.port(), .conditions = c_.link});
    int port = 0;
    const std::string batch = std::to_string(c_.batch);
    const auto edge = start_listening_edge(
        c_.programs, "edge", exported_model(c_.programs, "split", "edge"),
        {"--max-batch", batch, "--cloud", loopback_url(to_cloud.port()), "--policy", policy,
         "--in-flight", batch, "--queue", std::to_string(2 * c_.batch), "--timeout-ms", "60000"},
        port);
    const LinkEmulator to_edge({.target_port = port, .conditions = c_.link});
    TestNode node(to_edge.port(), network);
    std::vector<LeeSample> samples;
    node.ask(batches, 0, samples);  // warms up and opens the connections
    samples.clear();
    const Clock::time_point begin = Clock::now();
    for (std::int64_t first = 0; first < batches.count(); first += c_.batch)
      node.ask(batches, first, samples);
    const std::chrono::duration<double> took = Clock::now() - begin;
    LeeLatencyRow row = lee_latency_row(samples, took.count());
    row.model = name;
    row.exit = exit;
    row.threshold = threshold;
    rows_.push_back(row);
    const std::string text = lee_latency_text({row});
    fmt::print("{}", rows_.size() == 1 ? text : text.substr(text.find('\n') + 1));
    std::fflush(stdout);
    edge->signal(SIGTERM);
    (void)edge->wait(std::chrono::seconds(20));
  }

  LeeCommand c_;
  std::vector<LeeLatencyRow> rows_;
};

// Latency over T, a panel a place.
Plot lee_plot_of(const std::vector<LeeLatencyRow>& rows) {
  std::vector<PlotPanel> panels{
      {.title = "edge", .x = {.label = "T"}, .y = {.label = "latency (ms)", .min = 0.0}},
      {.title = "cloud", .x = {.label = "T"}, .y = {.label = "latency (ms)", .min = 0.0}},
      {.title = "overall", .x = {.label = "T"}, .y = {.label = "ms a sample", .min = 0.0}}};
  for (const LeeLatencyRow& row : rows) {
    const std::string label = fmt::format("{}, exit {}", row.model, row.exit);
    const double values[] = {row.edge.mean, row.cloud.mean, row.overall_ms};
    for (std::size_t i = 0; i < panels.size(); ++i) {
      auto& series = panels[i].series;
      if (series.empty() || series.back().label != label) series.push_back({.label = label});
      series.back().points.push_back({.x = row.threshold, .y = values[i]});
    }
  }
  std::erase_if(panels, [](const PlotPanel& panel) {
    return std::all_of(panel.series.begin(), panel.series.end(), [](const PlotSeries& series) {
      return std::all_of(series.points.begin(), series.points.end(),
                         [](const PlotPoint& point) { return std::isnan(point.y); });
    });
  });
  return {.title = "Lee et al., section 4", .panels = panels, .columns = 3};
}

void write_results(const LeeCommand& c, const std::vector<LeeLatencyRow>& rows) {
  ordered_json json = ordered_json::parse(split_conditions(c));
  json["models"] = c.models;
  json["batch"] = c.batch;
  json["differs"] =
      "the edge computes the rows of a batch one after another; rows that it forwards meet again "
      "in "
      "the cloud's dynamic batches; the cloud's answers come by way of the edge";
  json["rows"] = ordered_json::parse(lee_latency_json(rows));
  const std::filesystem::path out(c.out);
  std::filesystem::create_directories(out);
  write_file_atomically(out / "lee.txt", lee_latency_text(rows));
  write_file_atomically(out / "lee.csv", lee_latency_csv(rows));
  write_file_atomically(out / "lee.json", json.dump(2) + "\n");
  write_svg(lee_plot_of(rows), out / "lee.svg");
}

void run(LeeCommand c) {
  const std::vector<NamedModel> models = named_models("split lee", c.models);
  const WorkFolder work;
  c.programs.work = work.path();
  LeeBench bench(c);
  for (const NamedModel& model : models) bench.run(model);
  if (!c.out.empty()) write_results(c, bench.rows());
}

}  // namespace

void add_split_lee_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "lee",
      "Section 4 of Lee et al.: a test node sends batches to an edge, which answers or forwards to "
      "a cloud; edge, cloud and overall latency and accuracy by entropy threshold");
  const auto command = std::make_shared<LeeCommand>();
  add_named_model_option(*verb, command->models);
  verb->add_option("--data", command->data, "Data set: cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  verb->add_option("--threshold", command->thresholds, "Values of T, 0 < T <= 1")
      ->delimiter(',')
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  verb->add_option("--exits", command->exits, "Active exits of networks with several early ones")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--batch", command->batch, "Images of a request")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb->add_option("--batch-wait-us", command->batch_wait_us,
                   "How long the cloud waits for forwarded rows to compute them together")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  add_split_options(*verb, *command, "Folder for lee.txt, .json, .csv and .svg");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
