// ActiveExits: which early exits a policy uses; the others are "deactivated" (Pacheco et al. 2021):
// not computed, not in the fallback.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace branchy {

class PolicyReader;

class ActiveExits {
 public:
  /// From the option `active=2+3`, or `active=none`; all without it. Throws ConfigError for what is
  /// no early exit or stands twice.
  ActiveExits(PolicyReader& reader, std::int64_t num_early_exits);

  [[nodiscard]] bool contains(std::int64_t exit) const;
  /// `,active=2+3`, or nothing when all are.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<bool> active_;
};

}  // namespace branchy
