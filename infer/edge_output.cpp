#include "infer/edge_output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace branchy {
namespace {

std::string text_line(const EdgeResult& result) {
  const EdgeOutcome& outcome = result.outcome;
  const std::string name =
      result.class_name.empty() ? std::to_string(outcome.prediction.label) : result.class_name;
  return fmt::format("{}: {} ({:.1f} %), exit {} at the {}{}", result.file, name,
                     100.0F * outcome.prediction.confidence, outcome.prediction.exit,
                     outcome.from_cloud ? "cloud" : "edge", outcome.degraded ? ", degraded" : "");
}

}  // namespace

EdgeOutput::EdgeOutput(EdgeOutputOptions options, LineLog::Warn warn)
    : options_(std::move(options)),
      warn_(std::move(warn)),
      printed_(STDOUT_FILENO, "standard output", warn_) {
  if (options_.out.empty()) return;
  if (options_.is_endless) {
    log_.emplace(options_.out, warn_);
  } else {
    file_.emplace(options_.out);
  }
}

void EdgeOutput::add(const EdgeResult& result) {
  report_.add(result);
  const std::string line = to_json(result);
  if (file_) file_->write(line + "\n");
  if (log_) log_->write(line);
  if (options_.prints_files) printed_.write(options_.json ? line : text_line(result));
}

void EdgeOutput::finish(const EdgeStatus& status) {
  report_.set_link(status);
  if (file_) file_->commit();
  if (options_.json) {
    fmt::print("{}\n", report_.json());
  } else {
    fmt::print("{}", report_.table());
  }
  if (report_.num_degraded() > 0) {
    warn_(fmt::format("{} of {} images were answered without the cloud that they needed",
                      report_.num_degraded(), report_.num_images()));
  }
}

}  // namespace branchy
