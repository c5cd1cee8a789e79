#include "experiments/split_pacheco.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/printable.h"
#include "core/safetensors.h"
#include "data/source.h"
#include "experiments/link_emulator.h"
#include "experiments/split_options.h"
#include "experiments/split_rows.h"
#include "experiments/timed_answer.h"
#include "infer/model_images.h"

namespace branchy {
namespace {

using nlohmann::ordered_json;

// 94 Mbit/s and 12.8 ms: section 5.3 of the paper.
constexpr LinkConditions kPaperLink{.up_mbit = 94, .down_mbit = 94, .round_trip_ms = 12.8};

struct PachecoCommand : SplitOptions {
  PachecoCommand() { link = kPaperLink; }

  std::string model;
  std::vector<double> p_tars{0.7, 0.75, 0.8, 0.85, 0.9};
  std::vector<std::int64_t> branches{3, 4, 5};
  std::int64_t first_branch = 3;
};

struct Photograph {
  std::string file;
  std::int64_t label = 0;
};

// The test photographs as files, so that decoding them is part of the measurement.
std::vector<Photograph> test_photographs(const PachecoCommand& c, const ModelInfo& info) {
  if (!c.data.starts_with("folder:"))
    throw ConfigError(fmt::format("[split pacheco] --data {}, expected folder:DIR of JPEG files",
                                  printable(c.data)));
  const FolderListing listing = list_folder(c.data.substr(7));
  const PhotoSplit split = split_photos(listing, {.mode = SplitMode::kClean,
                                                  .test_paths = info.data_test_list,
                                                  .val_count = info.val_count,
                                                  .seed = info.val_seed});
  std::vector<Photograph> photographs;
  for (const std::int64_t position : split.test) {
    const FolderImage& image = listing.images.at(static_cast<std::size_t>(position));
    photographs.push_back({(listing.root / image.path).string(), image.label});
    if (c.limit > 0 && std::ssize(photographs) == c.limit) break;
  }
  if (photographs.empty()) throw ConfigError("[split pacheco] no test photographs");
  return photographs;
}

std::vector<SplitSample> samples_of(const std::string& results,
                                    const std::vector<Photograph>& photographs) {
  std::vector<SplitSample> samples;
  std::size_t begin = 0;
  for (std::size_t end = results.find('\n'); end != std::string::npos;
       begin = end + 1, end = results.find('\n', begin)) {
    const auto line = nlohmann::json::parse(results.substr(begin, end - begin));
    const Photograph& photograph = photographs.at(samples.size());
    if (line.at("file") != photograph.file)
      throw DataError(fmt::format("[split pacheco] a result of {} where {} was expected",
                                  line.at("file").dump(), photograph.file));
    const auto& times = line.at("times_ms");
    samples.push_back({.ms = times.at("decode").get<double>() + times.at("total").get<double>(),
                       .right = line.at("class") == photograph.label,
                       .offloaded = line.at("where") == "cloud",
                       .degraded = line.at("degraded").get<bool>(),
                       .exit = line.value("last_exit", line.at("exit").get<std::int64_t>()),
                       .bytes_up = line.at("bytes_sent").get<double>(),
                       .bytes_down = line.value("bytes_received", 0.0),
                       .edge_ms = times.at("edge").get<double>(),
                       .cloud_ms = times.at("cloud").get<double>()});
  }
  if (samples.size() != photographs.size())
    throw DataError(fmt::format("[split pacheco] {} results for {} photographs", samples.size(),
                                photographs.size()));
  return samples;
}

// One edge over all photographs, one at a time.
std::vector<SplitSample> run_edge(const PachecoCommand& c, const std::filesystem::path& model,
                                  std::vector<std::string> options,
                                  const std::vector<Photograph>& photographs) {
  options.insert(options.end(), {"--one-by-one", "--timeout-ms", "5000"});
  for (const Photograph& photograph : photographs) options.push_back(photograph.file);
  const auto edge = start_edge(c.programs, "edge", model, options);
  if (edge->wait(std::chrono::hours(2)) != 0)
    throw IoError(fmt::format("[split pacheco] branchy-edge failed: {}", printable(edge->log())));
  return samples_of(file_text(edge_results(c.programs, "edge")), photographs);
}

// The JPEG file itself over the link, to a server that decodes it and runs the whole network.
std::vector<SplitSample> send_jpegs(int port, const std::string& model,
                                    const std::vector<Photograph>& photographs) {
  TimedClient client({.host = "127.0.0.1", .port = port});
  std::vector<SplitSample> samples;
  const auto send = [&](const Photograph& photograph) {
    const TimedAnswer answer =
        client.post(fmt::format("/v2/models/{}/infer", model),
                    {{"Content-Type", "image/jpeg"}, {"Accept", "application/x-ndjson"}},
                    file_text(photograph.file));
    if (answer.status != 200 || answer.lines.empty())
      throw DataError(
          fmt::format("[split pacheco] {} was answered with {}", photograph.file, answer.status));
    const auto line = nlohmann::json::parse(answer.lines.front().text);
    return SplitSample{.ms = answer.total_ms,
                       .right = line.at("class") == photograph.label,
                       .offloaded = true,
                       .exit = line.at("exit").get<std::int64_t>(),
                       .bytes_up = static_cast<double>(answer.bytes_sent),
                       .bytes_down = static_cast<double>(answer.lines.front().text.size()),
                       .cloud_ms = line.at("times_ms").at("edge").get<double>()};
  };
  (void)send(photographs.front());  // opens the connection, as an edge's check of its cloud does
  for (const Photograph& photograph : photographs) samples.push_back(send(photograph));
  return samples;
}

std::string active_text(std::int64_t first, std::int64_t last) {
  std::string text;
  for (std::int64_t branch = first; branch <= last; ++branch)
    text += fmt::format("{}{}", text.empty() ? "" : "+", branch);
  return text;
}

class PachecoBench {
 public:
  explicit PachecoBench(const PachecoCommand& command) : c_(command) {
    const SafetensorsFile file(model_file());
    info_ = parse_model_info(file);
    photographs_ = test_photographs(c_, info_);
    const std::int64_t exits = info_.config.early_exits;
    if (c_.branches.empty() || c_.first_branch < 1 || c_.branches.front() < c_.first_branch ||
        c_.branches.back() > exits)
      throw ConfigError(fmt::format("[split pacheco] branches {}..{}, expected {}..{}",
                                    c_.branches.front(), c_.branches.back(), c_.first_branch,
                                    exits));
  }

  [[nodiscard]] std::size_t num_photographs() const { return photographs_.size(); }
  [[nodiscard]] const std::vector<SplitRow>& rows() const { return rows_; }

  /// The whole network on each side's CPUs without a link: how fast they are.
  void measure_speed() {
    export_model(c_.programs, c_.model, {"--whole"}, "whole");
    for (const bool cloud_side : {false, true}) {
      PachecoCommand local = c_;
      if (cloud_side) local.programs.edge_cpus = c_.programs.cloud_cpus;
      add(cloud_side ? "all on the cloud's CPU, no link" : "all on the edge's CPU, no link", kNone,
          run_edge(local, exported_model(c_.programs, "whole", "model"),
                   {"--policy", final_policy()}, photographs_));
    }
  }
  void cloud_only() {
    export_model(c_.programs, c_.model, {"--cut", std::to_string(c_.branches.back())}, "split");
    {
      CloudProgram cloud(c_.programs, exported_model(c_.programs, "split", "cloud"));
      const LinkEmulator link({.target_port = cloud.port(), .conditions = c_.link});
      add("cloud only, raw tensor", kNone,
          run_edge(c_, exported_model(c_.programs, "split", "edge"),
                   {"--cloud", loopback_url(link.port()), "--cloud-only"}, photographs_));
    }
    // A JPEG's server is an edge that holds the whole network.
    ProgramOptions server = c_.programs;
    server.edge_cpus = c_.programs.cloud_cpus;
    int port = 0;
    const auto jpeg_cloud =
        start_listening_edge(server, "jpeg", exported_model(c_.programs, "whole", "model"),
                             {"--policy", final_policy()}, port);
    const LinkEmulator link({.target_port = port, .conditions = c_.link});
    add("cloud only, JPEG", kNone, send_jpegs(link.port(), info_.config.name, photographs_));
  }
  void early_exits() {
    for (const std::int64_t branch : c_.branches) {
      const std::string name = fmt::format("cut{}", branch);
      export_model(c_.programs, c_.model, {"--cut", std::to_string(branch)}, name);
      CloudProgram cloud(c_.programs, exported_model(c_.programs, name, "cloud"));
      const LinkEmulator link({.target_port = cloud.port(), .conditions = c_.link});
      for (const double p_tar : c_.p_tars)
        add(fmt::format("early exits, edge to branch {}", branch), p_tar,
            run_edge(
                c_, exported_model(c_.programs, name, "edge"),
                {"--cloud", loopback_url(link.port()), "--policy",
                 fmt::format("p-tar:{},active={}", p_tar, active_text(c_.first_branch, branch))},
                photographs_));
    }
  }

 private:
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  [[nodiscard]] std::string model_file() const {
    const std::filesystem::path folder(c_.model);
    return std::filesystem::is_directory(folder) ? (folder / "best.safetensors").string()
                                                 : c_.model;
  }
  [[nodiscard]] std::string final_policy() const {
    return fmt::format("fixed:{}", info_.config.early_exits + 1);
  }
  void add(const std::string& method, double p_tar, const std::vector<SplitSample>& samples) {
    rows_.push_back(summarize_samples(method, p_tar, samples));
    fmt::print("{}",
               rows_.size() == 1
                   ? split_text({rows_.back()})
                   : split_text({rows_.back()}).substr(split_text({rows_.back()}).find('\n') + 1));
    std::fflush(stdout);
  }

  PachecoCommand c_;
  ModelInfo info_;
  std::vector<Photograph> photographs_;
  std::vector<SplitRow> rows_;
};

void run(PachecoCommand c) {
  const WorkFolder work;
  c.programs.work = work.path();
  PachecoBench bench(c);
  bench.measure_speed();
  bench.cloud_only();
  bench.early_exits();
  ordered_json json = ordered_json::parse(split_conditions(c));
  json["model"] = c.model;
  json["photographs"] = bench.num_photographs();
  json["time"] =
      "from the JPEG file at the edge to its class: decoding, computing, link, answer; one image "
      "at a time on a kept connection";
  json["rows"] = ordered_json::parse(split_json(bench.rows()));
  if (!c.out.empty()) {
    const std::filesystem::path out(c.out);
    std::filesystem::create_directories(out);
    write_file_atomically(out / "pacheco.txt", split_text(bench.rows()));
    write_file_atomically(out / "pacheco.csv", split_csv(bench.rows()));
    write_file_atomically(out / "pacheco.json", json.dump(2) + "\n");
    write_split_svg(bench.rows(),
                    fmt::format("{} Mbit/s, {} ms", c.link.up_mbit, c.link.round_trip_ms),
                    out / "pacheco.svg");
  }
}

}  // namespace

void add_split_pacheco_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "pacheco",
      "Fig. 6 and 7 of Pacheco et al.: inference time by p_tar with early exits at the edge, "
      "beside "
      "sending every image to the cloud as JPEG or as a raw tensor; real programs, emulated link");
  const auto command = std::make_shared<PachecoCommand>();
  verb->add_option("model", command->model, "Run folder or model file with branches")->required();
  verb->add_option("--data", command->data, "folder:DIR of JPEG photographs, split as in training")
      ->required();
  verb->add_option("--p-tar", command->p_tars, "Values of p_tar")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--branches", command->branches, "Last branches at the edge, rising")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--first-branch", command->first_branch, "Branches before it are not computed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_split_options(*verb, *command, "Folder for pacheco.txt, .json, .csv and .svg");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
