#include "infer/lossless.h"

#include <fmt/format.h>
#include <zstd.h>

#include <optional>
#include <utility>

#include "core/error.h"
#include "infer/feature_quantizer.h"
#include "infer/range_coder.h"

namespace branchy {

namespace {

constexpr int kZstdLevel = 19;  // codes are a few kilobytes: the best level costs little
constexpr std::size_t kChecksumBytes = 2;

/// CRC-16/CCITT-FALSE.
std::uint16_t checksum(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xFFFFU;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte) << 8U;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 0x8000U) != 0 ? ((crc << 1U) ^ 0x1021U) & 0xFFFFU : (crc << 1U) & 0xFFFFU;
  }
  return static_cast<std::uint16_t>(crc);
}

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

struct LosslessCoder::Impl {
  LosslessStage stage = LosslessStage::kNone;
  std::int64_t count = 0, bits = 8;
  std::optional<RangeCoder> range;
  std::unique_ptr<ZSTD_CCtx, FreeContext> compressor;
  std::unique_ptr<ZSTD_DCtx, FreeContext> decompressor;

  [[nodiscard]] std::size_t packed_size() const {
    return static_cast<std::size_t>(packed_bytes(count, bits));
  }
  [[nodiscard]] std::vector<std::byte> compress(std::span<const std::byte> packed) const;
  [[nodiscard]] std::vector<std::byte> decompress(std::span<const std::byte> frame) const;
};

std::vector<std::byte> LosslessCoder::Impl::compress(std::span<const std::byte> packed) const {
  std::vector<std::byte> frame(ZSTD_compressBound(packed.size()));
  const std::size_t size =
      ZSTD_compress2(compressor.get(), frame.data(), frame.size(), packed.data(), packed.size());
  if (ZSTD_isError(size) != 0U)
    throw Error(fmt::format("[codec] zstd: {}", ZSTD_getErrorName(size)));
  frame.resize(size);
  return frame;
}

std::vector<std::byte> LosslessCoder::Impl::decompress(std::span<const std::byte> frame) const {
  std::vector<std::byte> packed(packed_size());
  const std::size_t size = ZSTD_decompressDCtx(decompressor.get(), packed.data(), packed.size(),
                                               frame.data(), frame.size());
  if (ZSTD_isError(size) != 0U || size != packed.size())
    throw DataError(fmt::format("[codec] a damaged code (zstd: {})",
                                ZSTD_isError(size) != 0U ? ZSTD_getErrorName(size) : "too short"));
  return packed;
}

LosslessCoder::LosslessCoder(const CodecRecord& record, std::int64_t count)
    : impl_(std::make_unique<Impl>()) {
  impl_->stage = record.lossless;
  impl_->count = count;
  impl_->bits = record.bits;
  if (record.lossless == LosslessStage::kRange) impl_->range.emplace(record.frequencies, count);
  if (record.lossless != LosslessStage::kZstd) return;
  impl_->compressor.reset(ZSTD_createCCtx());
  impl_->decompressor.reset(ZSTD_createDCtx());
  if (!impl_->compressor || !impl_->decompressor) throw Error("[codec] no memory for zstd");
  ZSTD_CCtx_setParameter(impl_->compressor.get(), ZSTD_c_compressionLevel, kZstdLevel);
  ZSTD_CCtx_setParameter(impl_->compressor.get(), ZSTD_c_contentSizeFlag, 0);
}

LosslessCoder::~LosslessCoder() = default;
LosslessCoder::LosslessCoder(LosslessCoder&&) noexcept = default;
LosslessCoder& LosslessCoder::operator=(LosslessCoder&&) noexcept = default;

std::vector<std::byte> LosslessCoder::encode(std::span<const std::uint8_t> levels) const {
  std::vector<std::byte> packed = pack_levels(levels, impl_->bits);
  if (impl_->stage == LosslessStage::kNone) return packed;
  const std::vector<std::byte> body =
      impl_->range ? impl_->range->encode(levels) : impl_->compress(packed);
  if (body.size() + kChecksumBytes >= packed.size()) return packed;
  const std::uint16_t crc = checksum(packed);
  std::vector<std::byte> code{static_cast<std::byte>(crc & 0xFFU),
                              static_cast<std::byte>(crc >> 8U)};
  code.insert(code.end(), body.begin(), body.end());
  return code;
}

std::vector<std::uint8_t> LosslessCoder::decode(std::span<const std::byte> code) const {
  const std::size_t packed_size = impl_->packed_size();
  if (impl_->stage == LosslessStage::kNone || code.size() == packed_size)
    return unpack_levels(code, impl_->count, impl_->bits);
  if (code.size() < kChecksumBytes || code.size() > packed_size)
    throw DataError(fmt::format("[codec] a code of {} bytes, expected {} to {}", code.size(),
                                kChecksumBytes, packed_size));
  const std::span<const std::byte> body = code.subspan(kChecksumBytes);
  std::vector<std::uint8_t> levels;
  if (impl_->range) {
    auto decoded = impl_->range->decode(body);
    if (!decoded) throw DataError("[codec] a damaged code (range coder)");
    levels = *std::move(decoded);
  } else {
    levels = unpack_levels(impl_->decompress(body), impl_->count, impl_->bits);
  }
  const std::uint32_t crc =
      std::to_integer<std::uint32_t>(code[0]) | (std::to_integer<std::uint32_t>(code[1]) << 8U);
  if (checksum(pack_levels(levels, impl_->bits)) != crc)
    throw DataError("[codec] a damaged code (checksum)");
  return levels;
}

}  // namespace branchy
