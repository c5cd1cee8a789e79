// Fuzz target: any bytes either are a model file, whose description and records are read, or are
// refused by an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "core/error.h"
#include "core/safetensors.h"
#include "infer/adapt_table.h"
#include "infer/codec_record.h"
#include "infer/int8_ranges.h"
#include "infer/policies/policy_record.h"
#include "infer/policies/policy_text.h"
#include "layers/model_info.h"

namespace {

template <class Read>
void try_to(const Read& read) {
  try {
    read();
  } catch (const branchy::Error&) {
  }
}

// What is read can be written and read again.
void require_same_after_writing(const branchy::ModelInfo& info) {
  const branchy::ModelInfo again = branchy::parse_model_info(branchy::to_metadata(info), "again");
  if (!(again.config == info.config) || !(again.part == info.part) ||
      again.temperatures != info.temperatures || again.records != info.records)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try_to([&] {
    const branchy::SafetensorsIndex index =
        branchy::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz");
    const branchy::ModelInfo info = branchy::parse_model_info(index.metadata, "fuzz");
    require_same_after_writing(info);
    try_to([&] { (void)branchy::read_codec_record(info); });
    try_to([&] { (void)branchy::AdaptTable::from(info); });
    try_to([&] {
      const std::string text = branchy::to_text(branchy::int8_ranges(info));
      if (!text.empty() && branchy::to_text(branchy::parse_int8_ranges(text)) != text) std::abort();
    });
    try_to([&] {
      if (const auto record = branchy::read_policy_record(info))
        (void)branchy::parse_policy(record->text, info.config.early_exits + 1);
    });
  });
  return 0;
}
