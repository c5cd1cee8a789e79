// `branchy-edge`: classifies images of a data set, of files or of a watched folder, here or with
// the cloud's help.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "infer/edge_listen.h"

namespace CLI {
class App;
}

namespace branchy {

struct EdgeCommandOptions {
  std::string model;
  std::string cloud;       ///< http[s]://HOST:PORT; empty: no cloud
  std::string policy;      ///< as `parse_policy` takes it; empty: thresholds, else the model's own
  std::string thresholds;  ///< of max-probability: one for all early exits or one for each
  std::string active_exits;  ///< "2,3" or "none", put into the policy's text
  std::string data;
  std::string split = "test";
  std::string test_list, cache;  ///< of photographs
  bool skip_corrupt = false;     ///< of photographs
  std::vector<std::string> files;
  std::string watch;  ///< a folder
  std::string out;
  std::int64_t limit = 0;  ///< 0: all
  std::int64_t timeout_ms = 2000;
  std::int64_t deadline_ms = 0;  ///< 0: none
  std::int64_t hedge_ms = -1;    ///< -1: only when the cloud has failed
  std::int64_t retries = 2;
  std::int64_t in_flight = 4;
  std::int64_t queue = 8;
  bool unordered = false, one_by_one = false;
  std::string cloud_token_file, cloud_ca;
  std::uint64_t seed = 0;
  std::int64_t threads = 0;  ///< 0: all CPUs
  bool cloud_only = false;
  bool no_codec = false;
  bool adapt = false;         ///< the policy of the model's table for the bandwidth as it is
  double bandwidth_mbit = 0;  ///< instead of an estimate; 0: estimate
  std::string measure;        ///< write the times of the model's parts here and classify nothing
  std::int64_t repeat = 50;   ///< timed runs of `measure`
  bool json = false;
  EdgeListenOptions listen;  ///< serve HTTP too, or nothing else
};

void add_edge_options(CLI::App& app, EdgeCommandOptions& options);
/// Gives the exit code: 0, or 1 when an image file could not be read (a watched folder's only tell
/// a line). SIGINT and SIGTERM end it when the images that have been taken are answered; an edge
/// that listens waits for one when its source is at an end.
int run_edge_command(const EdgeCommandOptions& options);

}  // namespace branchy
