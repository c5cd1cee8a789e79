#include "layers/attachment_key.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace branchy {

namespace {

constexpr std::array kNetworkKeys = {"network",         "classes",          "early_exits",
                                     "options",         "part.first_block", "part.end_block",
                                     "part.first_exit", "part.last_exit"};

}  // namespace

bool is_attachment_tensor(std::string_view name) {
  return std::any_of(
      std::begin(kAttachmentNames), std::end(kAttachmentNames), [&](std::string_view attachment) {
        return name.starts_with(attachment) && name.substr(attachment.size()).starts_with('.');
      });
}

bool is_attachment_key(std::string_view key) {
  if (!is_attachment_tensor(key)) return false;
  const std::string_view rest = key.substr(key.find('.') + 1);
  return std::find(kNetworkKeys.begin(), kNetworkKeys.end(), rest) != kNetworkKeys.end();
}

}  // namespace branchy
