#include "infer/device_digest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/digest.h"
#include "layers/network_options.h"

namespace branchy {

namespace {

void update(Digest& digest, const std::string& text) {
  digest.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace

std::string part_digest(MultiExitNetwork& network, const ModelInfo& info, const NetworkPart& part) {
  Digest digest(DigestKind::kSha256);
  const NetworkConfig& config = network.config();
  update(digest, fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n", config.name, config.classes,
                             config.early_exits, fmt::join(to_lines(config.options), "\n"),
                             fmt::join(info.mean, ","), fmt::join(info.std, ",")));
  for (const StateEntry& entry : network.state(part)) {
    update(digest, entry.name);
    const auto data = entry.variable->value().data();
    digest.update({reinterpret_cast<const std::uint8_t*>(data.data()), data.size_bytes()});
  }
  return digest.finish();
}

NetworkPart device_part(const MultiExitNetwork& network) {
  const std::int64_t early = network.num_exits() - 1;
  return {.first_block = 0,
          .end_block = early == 0 ? 0 : network.exit(early).after_block,
          .first_exit = 1,
          .last_exit = early};
}

std::string device_digest(const LoadedModel& model) {
  return part_digest(*model.network, model.info, device_part(*model.network));
}

}  // namespace branchy
