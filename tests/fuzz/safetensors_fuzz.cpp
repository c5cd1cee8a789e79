// Fuzz target: any bytes either parse into spans inside the input or are refused by DataError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "core/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const branchy::SafetensorsIndex index = branchy::parse_safetensors(bytes, "fuzz");
    std::size_t total = 0;
    for (const auto& [name, entry] : index.entries) {
      if (entry.bytes.data() < bytes.data() ||
          entry.bytes.data() + entry.bytes.size() > bytes.data() + bytes.size())
        std::abort();
      total += entry.bytes.size();
    }
    if (total > size) std::abort();
  } catch (const branchy::DataError&) {
  }
  return 0;
}
