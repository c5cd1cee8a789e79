// ModelRepository: model files on disk, loaded to be served and loaded anew when they change.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "infer/infer_backend.h"
#include "infer/model_table.h"

namespace branchy {

/// A file under the name of its network as version 1, and a directory
/// `<directory>/<model>/<version>/<any>.safetensors` with one file for each version. Versions are
/// numbers; other names, and names that begin with a dot, are left alone. One thread at a time.
class ModelRepository {
 public:
  struct Options {
    std::filesystem::path file = {};       ///< may be empty
    std::filesystem::path directory = {};  ///< may be empty
  };
  /// Makes a model that is ready to answer; throws for a file that is none.
  using Loader = std::function<std::shared_ptr<InferBackend>(const std::filesystem::path&)>;
  /// Takes one line.
  using Log = std::function<void(const std::string&)>;

  ModelRepository(Options options, Loader loader, Log log);

  /// Loads what is new or changed (another inode, size or time), keeps what is not, drops what is
  /// gone, and tells the log each of these. A version that cannot be loaded stays as it was and is
  /// tried again the next time. Throws IoError when the directory cannot be read and, the first
  /// time, what the loader throws for `file`.
  [[nodiscard]] std::shared_ptr<const ModelTable> load();

 private:
  /// What makes a file another one.
  struct Stamp {
    std::filesystem::path path;
    std::uint64_t inode = 0, bytes = 0;
    std::int64_t modified_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Entry {
    Stamp stamp;
    std::shared_ptr<InferBackend> backend;
  };
  using Key = std::pair<std::string, std::uint64_t>;  ///< model, version

  [[nodiscard]] static Stamp stamp_of(const std::filesystem::path& file);
  void load_one(const Key& key, const std::filesystem::path& folder_or_file, ModelTable& table,
                std::map<Key, Entry>& next);
  void scan(ModelTable& table, std::map<Key, Entry>& next);

  Options options_;
  Loader loader_;
  Log log_;
  std::string file_name_;  ///< under which `options_.file` is served, once it is loaded
  std::map<Key, Entry> entries_;
};

}  // namespace branchy
