// TuningFile: the table of `branchy tune` on disk, valid for one kind of machine.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/dnn/convolution_table.h"

namespace branchy {

/// branchy/convolutions.json below $XDG_CACHE_HOME or ~/.cache; empty when neither is set.
[[nodiscard]] std::filesystem::path default_tuning_file();

/// A file holds any number of machines: CPU model, compute threads, versions of branchy and oneDNN.
/// What was measured on one says nothing of another.
///
/// The table for this machine and num_threads(); empty when the file has none or is not there.
/// Throws DataError for a file that is no tuning file.
[[nodiscard]] dnn::ConvolutionTable load_tuning(const std::filesystem::path& path);
/// Puts `table` in the place of this machine's, leaving the others. Throws as above, and IoError.
void save_tuning(const std::filesystem::path& path, const dnn::ConvolutionTable& table);

/// What --tuning says: "auto" is the default file, "none" no table, else a file, which then must
/// have a table for this machine (ConfigError). Null for none.
[[nodiscard]] std::shared_ptr<const dnn::ConvolutionTable> tuning_of(const std::string& option);

}  // namespace branchy
