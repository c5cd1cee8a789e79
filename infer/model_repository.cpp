#include "infer/model_repository.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <vector>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {
namespace {

namespace fs = std::filesystem;

// The one model file of a version's folder.
fs::path file_in(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path());
  }
  if (found.size() != 1)
    throw DataError(fmt::format("[{}] holds {} files *.safetensors, expected one", folder.string(),
                                found.size()));
  return found.front();
}

// Folders in `parent`, hidden ones left out, by name.
std::vector<fs::path> folders_in(const fs::path& parent) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(parent)) {
    if (entry.is_directory() && !entry.path().filename().string().starts_with('.'))
      found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

ModelRepository::ModelRepository(Options options, Loader loader, Log log)
    : options_(std::move(options)), loader_(std::move(loader)), log_(std::move(log)) {}

ModelRepository::Stamp ModelRepository::stamp_of(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0)
    throw IoError(fmt::format("[{}] cannot be read: {}", file.string(), std::strerror(errno)));
  return {.path = file,
          .inode = status.st_ino,
          .bytes = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec};
}

void ModelRepository::load_one(const Key& key, const fs::path& folder_or_file, ModelTable& table,
                               std::map<Key, Entry>& next) {
  const std::string& name = key.first;
  const std::string version = std::to_string(key.second);
  if (next.contains(key)) {
    log_(fmt::format("model {} version {} is there twice: {} is left alone", name, version,
                     folder_or_file.string()));
    return;
  }
  const auto old = entries_.find(key);
  const auto keep = [&] {
    table.add(name, version, old->second.backend);
    next.insert(*old);
  };
  try {
    const fs::path file =
        fs::is_regular_file(folder_or_file) ? folder_or_file : file_in(folder_or_file);
    // Before the file is read: one that changes meanwhile is read again the next time.
    const Stamp stamp = stamp_of(file);
    if (old != entries_.end() && old->second.stamp == stamp) return keep();
    std::shared_ptr<InferBackend> backend = loader_(file);
    table.add(name, version, backend);
    next[key] = {stamp, std::move(backend)};
    log_(fmt::format("model {} version {} {}: {}", name, version,
                     old == entries_.end() ? "loaded" : "loaded anew", file.string()));
  } catch (const std::exception& error) {
    const std::string reason = one_line(error.what());
    table.add_failed({name, version, reason});
    if (old != entries_.end()) keep();
    log_(fmt::format("model {} version {} cannot be loaded{}: {}", name, version,
                     old == entries_.end() ? "" : ", the old one stays", reason));
  }
}

void ModelRepository::scan(ModelTable& table, std::map<Key, Entry>& next) {
  for (const fs::path& model : folders_in(options_.directory)) {
    for (const fs::path& version : folders_in(model)) {
      const std::uint64_t number = version_number(version.filename().string());
      if (number > 0) load_one({model.filename().string(), number}, version, table, next);
    }
  }
}

std::shared_ptr<const ModelTable> ModelRepository::load() {
  auto table = std::make_shared<ModelTable>();
  std::map<Key, Entry> next;
  if (!options_.file.empty()) {
    if (file_name_.empty()) {
      // The name is the network's: only the loaded model tells it.
      const Stamp stamp = stamp_of(options_.file);
      std::shared_ptr<InferBackend> backend = loader_(options_.file);
      file_name_ = backend->describe().name;
      entries_[{file_name_, 1}] = {stamp, std::move(backend)};
    }
    load_one({file_name_, 1}, options_.file, *table, next);
  }
  try {
    if (!options_.directory.empty()) scan(*table, next);
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("[{}] cannot be read: {}", options_.directory.string(),
                              error.code().message()));
  }
  for (const auto& [key, entry] : entries_) {
    if (!next.contains(key))
      log_(fmt::format("model {} version {} is gone", key.first, key.second));
  }
  entries_ = std::move(next);
  return table;
}

}  // namespace branchy
