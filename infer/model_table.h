// ModelTable: the models that a cloud serves at one moment, by name and version.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "infer/infer_backend.h"

namespace branchy {

/// One version of a model.
struct ServedVersion {
  std::shared_ptr<InferBackend> backend;
  ModelDescription description;  ///< of `backend`, with the name and version that it is served by
};

/// A version that could not be loaded and why, one line.
struct FailedVersion {
  std::string model, version, reason;
};

/// Immutable once it is served, so that requests keep what they began with while another table
/// takes its place.
class ModelTable {
 public:
  /// A table of one model under its own name. Throws ConfigError as add() does.
  [[nodiscard]] static std::shared_ptr<const ModelTable> of(std::shared_ptr<InferBackend> backend);

  /// `version` is a positive decimal number without leading zeros. Throws ConfigError for a name
  /// that does not fit into a path and for a version that is there already.
  void add(const std::string& model, const std::string& version,
           std::shared_ptr<InferBackend> backend);
  void add_failed(FailedVersion failed) { failed_.push_back(std::move(failed)); }

  /// Null when there is none; "" asks for the highest version.
  [[nodiscard]] const ServedVersion* find(std::string_view model, std::string_view version) const;
  /// Of a model, rising; empty for an unknown one.
  [[nodiscard]] std::vector<std::string> versions(std::string_view model) const;
  [[nodiscard]] std::vector<std::string> models() const;
  [[nodiscard]] const std::vector<FailedVersion>& failed() const { return failed_; }
  [[nodiscard]] bool empty() const { return models_.empty(); }

 private:
  using Versions = std::map<std::uint64_t, ServedVersion>;
  std::map<std::string, Versions, std::less<>> models_;
  std::vector<FailedVersion> failed_;
};

/// The number that a version's text is, or 0 when it is none (see ModelTable::add).
[[nodiscard]] std::uint64_t version_number(std::string_view text);

/// Body of POST /v2/repository/index: name, version and state of each version, READY or
/// UNAVAILABLE with the reason; the latter are left out when `ready_only`.
[[nodiscard]] std::string repository_index_json(const ModelTable& table, bool ready_only);
/// Whether the body of such a request asks for those that are ready alone; an empty body does not.
/// Throws HttpError 400 for what is no JSON object.
[[nodiscard]] bool wants_ready_only(std::string_view body);

}  // namespace branchy
