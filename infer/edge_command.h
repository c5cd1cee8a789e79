// `branchy-edge`: classifies a data set or image files, here or with the cloud's help.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace branchy {

struct EdgeCommandOptions {
  std::string model;
  std::string cloud;       ///< http://HOST:PORT; empty: no cloud
  std::string policy;      ///< as `parse_policy` takes it; empty: thresholds, else the model's own
  std::string thresholds;  ///< of max-probability: one for all early exits or one for each
  std::string data;
  std::string split = "test";
  std::string test_list, cache;  ///< of photographs
  bool skip_corrupt = false;     ///< of photographs
  std::vector<std::string> files;
  std::string out;
  std::int64_t limit = 0;  ///< 0: all
  std::int64_t timeout_ms = 2000;
  std::int64_t threads = 0;  ///< 0: all CPUs
  bool cloud_only = false;
  bool no_codec = false;
  bool adapt = false;         ///< the policy of the model's table for the bandwidth as it is
  double bandwidth_mbit = 0;  ///< instead of an estimate; 0: estimate
  std::string measure;        ///< write the times of the model's parts here and classify nothing
  std::int64_t repeat = 50;   ///< timed runs of `measure`
  bool json = false;
};

void add_edge_options(CLI::App& app, EdgeCommandOptions& options);
/// Gives the exit code: 0, or 1 when an image file could not be read. SIGINT and SIGTERM end it
/// after the current image, with the results so far.
int run_edge_command(const EdgeCommandOptions& options);

}  // namespace branchy
