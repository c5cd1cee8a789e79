// PrimitiveCache: the primitives of one layer, one per input shape and layout met so far.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace branchy {

/// Holds few entries (batch sizes of training, of the last batch, of evaluation); the oldest goes
/// when a ninth arrives. Entries are shared with the graph nodes that need them in backward.
template <typename Primitive>
class PrimitiveCache {
 public:
  /// The first entry for which `fits(entry)`, else the one that `make()` gives.
  template <typename Fits, typename Make>
  std::shared_ptr<Primitive> get(const Fits& fits, const Make& make) {
    for (const auto& entry : entries_)
      if (fits(*entry)) return entry;
    if (entries_.size() == kMaxEntries) entries_.erase(entries_.begin());
    entries_.push_back(std::make_shared<Primitive>(make()));
    return entries_.back();
  }

 private:
  static constexpr std::size_t kMaxEntries = 8;
  std::vector<std::shared_ptr<Primitive>> entries_;
};

}  // namespace branchy
