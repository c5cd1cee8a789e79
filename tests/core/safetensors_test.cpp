#include "core/safetensors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/rng.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;
using test::TemporaryDirectory;

std::string file_of(std::string_view header, std::size_t buffer_bytes) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes.append(header).append(buffer_bytes, '\x3F');
}

std::string with_length(std::string file, std::uint64_t length) {
  std::memcpy(file.data(), &length, sizeof(length));
  return file;
}

SafetensorsIndex parse(std::string_view file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "file");
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

constexpr std::string_view kOne =
    R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})";

// -- The two byte-exact examples of the format.

TEST(Safetensors, AnEmptyFileIsEightBytesOfHeader) {
  const TemporaryDirectory directory;
  write_safetensors(directory / "empty.safetensors", {}, {});
  EXPECT_EQ(contents(directory / "empty.safetensors"), file_of("{}      ", 0));
  EXPECT_TRUE(SafetensorsFile(directory / "empty.safetensors").entries().empty());
}

TEST(Safetensors, OneTensorHasTheReferenceHeader) {
  const TemporaryDirectory directory;
  const auto path = directory / "one.safetensors";
  write_safetensors(path, {{"attn.0", Tensor::full({1, 2, 3}, 1.5F)}}, {});
  const std::string bytes = contents(path);
  ASSERT_EQ(bytes.size(), 8U + 64U + 24U);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x40\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(8, 64), std::string(kOne) + std::string(64 - kOne.size(), ' '));
}

// -- Round trips.

TEST(Safetensors, TensorsAndMetadataComeBack) {
  const TemporaryDirectory directory;
  const auto path = directory / "a.safetensors";
  const std::vector<float> values = {1.0F, -0.0F, 3.5e-38F, 1e30F, -2.0F, 7.0F};
  const Metadata metadata = {{"net", "resnet44"}, {"quote\"\n", "tab\t \xC3\xA9"}};
  write_safetensors(path,
                    {{"b", Tensor::from({2, 3}, values)},
                     {"a", Tensor::full(Shape(), 4.0F)},
                     {"none", Tensor::zeros({0, 3})}},
                    metadata);
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata(), metadata);
  EXPECT_EQ(file.path(), path);
  EXPECT_EQ(file.entries().size(), 3U);
  EXPECT_TRUE(file.contains("a"));
  EXPECT_FALSE(file.contains("c"));
  const Tensor b = file.tensor("b");
  EXPECT_EQ(b.shape(), (Shape{2, 3}));
  EXPECT_EQ(std::memcmp(b.data().data(), values.data(), values.size() * sizeof(float)), 0);
  EXPECT_EQ(file.tensor("a").item(), 4.0F);
  EXPECT_EQ(file.tensor("none").size(), 0);
}

TEST(Safetensors, TheSameInputGivesTheSameBytes) {
  const TemporaryDirectory directory;
  for (const char* name : {"1", "2"})
    write_safetensors(directory / name, {{"x", Tensor::full({5}, 2.0F)}}, {{"k", "v"}});
  EXPECT_EQ(contents(directory / "1"), contents(directory / "2"));
}

TEST(Safetensors, AMovedFileKeepsItsMapping) {
  const TemporaryDirectory directory;
  write_safetensors(directory / "a", {{"x", Tensor::full({5}, 2.0F)}}, {});
  SafetensorsFile first(directory / "a");
  const SafetensorsFile second(std::move(first));
  EXPECT_EQ(second.tensor("x").data()[4], 2.0F);
}

TEST(Safetensors, AcceptsWhatTheFormatAllows) {
  // Any order of keys and offsets, empty tensors between others, scalars, every dtype.
  const SafetensorsIndex index =
      parse(file_of(R"({"z":{"shape":[],"dtype":"F64","data_offsets":[0,8]},"__metadata__":{},)"
                    R"("y":{"dtype":"BF16","data_offsets":[8,8],"shape":[0,18446744]},)"
                    R"("a":{"dtype":"F8_E4M3","shape":[3,1],"data_offsets":[8,11]}}    )",
                    11));
  EXPECT_EQ(index.entries.at("z").bytes.size(), 8U);
  EXPECT_TRUE(index.entries.at("y").bytes.empty());
  EXPECT_EQ(index.entries.at("a").shape, (std::vector<std::int64_t>{3, 1}));
  constexpr std::string_view kDtypes[] = {"BOOL", "U8",  "I8",  "F8_E5M2", "F8_E4M3",
                                          "I16",  "U16", "F16", "BF16",    "I32",
                                          "U32",  "F32", "F64", "I64",     "U64"};
  constexpr int kSizes[] = {1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 8, 8, 8};
  for (std::size_t i = 0; i < std::size(kDtypes); ++i) {
    const std::string header = R"({"x":{"dtype":")" + std::string(kDtypes[i]) +
                               R"(","shape":[3],"data_offsets":[0,)" +
                               std::to_string(3 * kSizes[i]) + "]}}";
    EXPECT_EQ(parse(file_of(header, static_cast<std::size_t>(3 * kSizes[i]))).entries.size(), 1U)
        << header;
  }
}

// -- Violations, each named.

struct Violation {
  const char* name;
  std::string file;
  std::string message;
};

std::string violation_name(const testing::TestParamInfo<Violation>& violation) {
  return violation.param.name;
}

class SafetensorsViolation : public testing::TestWithParam<Violation> {};

TEST_P(SafetensorsViolation, IsRefusedByName) {
  expect_error<DataError>([] { (void)parse(GetParam().file); }, {"[file]", GetParam().message});
}

std::string entry(std::string_view fields, std::size_t bytes = 8) {
  return file_of("{\"x\":{" + std::string(fields) + "}}", bytes);
}

const std::string kPair1 = R"("a":{"dtype":"F32","shape":[2],"data_offsets":)";
const std::string kPair2 = R"("b":{"dtype":"F32","shape":[2],"data_offsets":)";

std::string pair_of(std::string_view first, std::string_view second, std::size_t bytes) {
  return file_of("{" + kPair1 + std::string(first) + "}," + kPair2 + std::string(second) + "}}",
                 bytes);
}

INSTANTIATE_TEST_SUITE_P(
    Frame, SafetensorsViolation,
    testing::Values(
        Violation{"NoBytes", "", "0 bytes, expected at least 8"},
        Violation{"SevenBytes", "1234567", "7 bytes"},
        Violation{"HeaderLength2To63", with_length(file_of("{}", 0), std::uint64_t{1} << 63U),
                  "header length 9223372036854775808"},
        Violation{"HeaderLengthMax", with_length(file_of("{}", 0), ~std::uint64_t{0}),
                  "header length 18446744073709551615"},
        Violation{"HeaderOverTheLimit", with_length(file_of("{}", 0), 100'000'001),
                  "at most 100000000"},
        Violation{"HeaderBeyondTheFile", with_length(file_of("{}", 0), 3), "truncated"},
        Violation{"HeaderEmpty", file_of("", 0), "does not begin with '{'"},
        Violation{"HeaderPaddedInFront", file_of(" {}", 0), "does not begin with '{'"},
        Violation{"HeaderIsAList", file_of("[]", 0), "does not begin with '{'"},
        Violation{"HeaderWithByteOrderMark", file_of("\xEF\xBB\xBF{}", 0), "does not begin"},
        Violation{"BufferWithoutTensors", file_of("{}", 1), "end at byte 0 of a data buffer of 1"},
        Violation{"FileTruncated", file_of(kOne, 23), "beyond the data buffer of 23 bytes"},
        Violation{"BytesAfterTheLast", file_of(kOne, 25), "end at byte 24 of a data buffer of 25"}),
    violation_name);

INSTANTIATE_TEST_SUITE_P(
    Json, SafetensorsViolation,
    testing::Values(
        Violation{"Unfinished", file_of("{\"x\":", 0), "not valid JSON at byte"},
        Violation{"TrailingText", file_of("{}x", 0), "not valid JSON"},
        Violation{"TwoObjects", file_of("{}{}", 0), "not valid JSON"},
        Violation{"Comment", file_of("{/**/}", 0), "not valid JSON"},
        Violation{"NotUtf8", file_of("{\"\xFF\":1}", 0), "not valid JSON"},
        Violation{"Nan", entry(R"("dtype":NaN)"), "not valid JSON"},
        Violation{"DeepNesting", entry(R"("shape":)" + std::string(100'000, '[')), "holds a list"},
        Violation{"DeepObjects", file_of(R"({"x":{"shape":{"y":{}}}})", 0), "holds an object"},
        Violation{"DuplicateTensor",
                  file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                          R"("x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                          8),
                  "duplicate key 'x'"},
        Violation{"DuplicateByEscape",
                  file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                          R"("\u0078":{}})",
                          8),
                  "duplicate key 'x'"},
        Violation{"DuplicateField", entry(R"("dtype":"F32","dtype":"F32")"),
                  "duplicate key 'dtype' in 'x'"},
        Violation{"DuplicateMetadata", file_of(R"({"__metadata__":{},"__metadata__":{}})", 0),
                  "duplicate key '__metadata__'"},
        Violation{"DuplicateMetadataKey", file_of(R"({"__metadata__":{"a":"1","a":"2"}})", 0),
                  "duplicate key 'a'"},
        Violation{"MetadataNumber", file_of(R"({"__metadata__":{"a":1}})", 0),
                  "__metadata__ 'a' holds the number 1, expected a string"},
        Violation{"MetadataNull", file_of(R"({"__metadata__":{"a":null}})", 0), "holds null"},
        Violation{"MetadataObject", file_of(R"({"__metadata__":{"a":{}}})", 0), "holds an object"},
        Violation{"MetadataString", file_of(R"({"__metadata__":"a"})", 0), "expected an object"},
        Violation{"EntryString", file_of(R"({"x":"F32"})", 0), "expected an object"},
        Violation{"ControlCharactersStayHidden", file_of(R"({"a\nb":1})", 0), "'a?b' holds"}),
    violation_name);

INSTANTIATE_TEST_SUITE_P(
    Entry, SafetensorsViolation,
    testing::Values(
        Violation{"UnknownDtype", entry(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])"),
                  "unknown dtype 'F31'"},
        Violation{"DtypeNumber", entry(R"("dtype":32)"), "holds the number 32"},
        Violation{"NoDtype", entry(R"("shape":[2],"data_offsets":[0,8])"), "has no dtype"},
        Violation{"NoShape", entry(R"("dtype":"F32","data_offsets":[0,8])"), "has no shape"},
        Violation{"NoOffsets", entry(R"("dtype":"F32","shape":[2])"), "has no data_offsets"},
        Violation{"UnknownField", entry(R"("stride":[2])"), "unknown key 'stride'"},
        Violation{"ShapeString", entry(R"("shape":"2")"), "holds the string '2'"},
        Violation{"ShapeNegative", entry(R"("shape":[-2])"), "negative number -2"},
        Violation{"ShapeFraction", entry(R"("shape":[2.0])"), "the number 2.0"},
        Violation{"ShapeBeyond64Bits", entry(R"("shape":[99999999999999999999])"),
                  "the number 9999"},
        Violation{"ShapeNested", entry(R"("shape":[[2]])"), "holds a list"},
        Violation{"OneOffset", entry(R"("data_offsets":[0])"), "holds 1 numbers"},
        Violation{"ThreeOffsets", entry(R"("data_offsets":[0,8,8])"), "holds the number 8"},
        Violation{"BeginAfterEnd", entry(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
                  "end before they begin"},
        Violation{"BeyondTheBuffer", entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,9])"),
                  "beyond the data buffer of 8 bytes"},
        Violation{"OffsetMax",
                  entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615])"),
                  "beyond the data buffer"},
        Violation{"SizeMismatch", entry(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
                  "8 bytes, but its dtype and shape need 12"},
        Violation{"DtypeMismatch", entry(R"("dtype":"F64","shape":[2],"data_offsets":[0,8])"),
                  "need 16"},
        Violation{"ProductOverflow",
                  entry(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,8])"),
                  "overflows"},
        Violation{"ProductOverflowToZero",
                  entry(R"("dtype":"F64","shape":[2305843009213693952,8],"data_offsets":[0,0])"),
                  "overflows"},
        Violation{"Overlap", pair_of("[0,8]", "[4,12]", 12), "the tensors overlap"},
        Violation{"SameBytesTwice", pair_of("[0,8]", "[0,8]", 8), "the tensors overlap"},
        Violation{"Hole", pair_of("[0,8]", "[9,17]", 17), "the tensors leave a hole"},
        Violation{"HoleAtTheStart", pair_of("[8,16]", "[16,24]", 24), "leave a hole"}),
    violation_name);

// -- The file itself.

TEST(SafetensorsFile, NamesAMissingFileAndADirectory) {
  const TemporaryDirectory directory;
  expect_error<IoError>([&] { SafetensorsFile file(directory / "absent"); },
                        {"absent", "No such file"});
  expect_error<IoError>([&] { SafetensorsFile file(directory.path()); }, {"Is a directory"});
  expect_error<IoError>([] { SafetensorsFile file("/dev/zero"); }, {"/dev/zero"});
}

TEST(SafetensorsFile, NamesThePathOfADamagedFile) {
  const TemporaryDirectory directory;
  for (const std::string& text : {std::string(), std::string("junk"), file_of("{", 0)}) {
    write_file_atomically(directory / "bad", text);
    expect_error<DataError>([&] { SafetensorsFile file(directory / "bad"); },
                            {(directory / "bad").string()});
  }
}

TEST(SafetensorsFile, NamesWhatATensorLacks) {
  const TemporaryDirectory directory;
  write_file_atomically(
      directory / "a",
      file_of(R"({"i":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
              R"("r":{"dtype":"F32","shape":[1,1,1,1,1,1],"data_offsets":[8,12]}})",
              12));
  const SafetensorsFile file(directory / "a");
  expect_error<DataError>([&] { (void)file.tensor("conv1"); }, {"no tensor 'conv1'"});
  expect_error<DataError>([&] { (void)file.tensor("i"); }, {"'i'", "is I64, expected F32"});
  expect_error<DataError>([&] { (void)file.tensor("r"); }, {"6 dimensions, expected at most 5"});
}

TEST(SafetensorsFile, HalvesAreReadAsFloats) {
  const TemporaryDirectory directory;
  const std::array<std::uint16_t, 3> halves = {0x3C00, 0xC100, 0x0001};  // 1, -2.5, 2^-24
  const std::array<std::uint16_t, 1> brains = {0x4049};                  // 3.140625
  const std::vector<std::pair<std::string, SafetensorsEntry>> entries = {
      {"z", {"F16", {3}, std::as_bytes(std::span(halves))}},
      {"a", {"BF16", {}, std::as_bytes(std::span(brains))}}};
  write_safetensors_entries(directory / "a", entries, {{"k", "v"}});
  const SafetensorsFile file(directory / "a");
  EXPECT_LT(file.entries().at("z").bytes.data(), file.entries().at("a").bytes.data());
  const Tensor z = file.tensor("z");
  EXPECT_EQ(z.data()[0], 1.0F);
  EXPECT_EQ(z.data()[1], -2.5F);
  EXPECT_EQ(z.data()[2], std::ldexp(1.0F, -24));
  EXPECT_EQ(file.tensor("a").item(), 3.140625F);
}

TEST(SafetensorsFile, SaysHowToConvertFilesOfPyTorch) {
  const TemporaryDirectory directory;
  const std::string zip = std::string("PK\x03\x04\0\0\x08\x08\0\0", 10) + std::string(200, 'x');
  const std::string pickle = "\x80\x02\x8a\nl\xfc\x9c" + std::string(200, 'x');
  for (const std::string& bytes : {zip, pickle}) {
    write_file_atomically(directory / "net.pth", bytes);
    expect_error<DataError>(
        [&] { SafetensorsFile file(directory / "net.pth"); },
        {"torch.save", "python3 -c", "torch.load('", "net.pth', ", "save_file"});
  }
  // A header of 640 bytes begins with the bytes of a pickle.
  std::string header(640, ' ');
  header.replace(0, 2, "{}");
  EXPECT_TRUE(parse(file_of(header, 0)).entries.empty());
}

TEST(SafetensorsFile, RefusesToWriteWhatItCouldNotRead) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  const Tensor x = Tensor::zeros({1});
  expect_error<DataError>(
      [&] {
        write_safetensors(path, {{"__metadata__", x}}, {});
      },
      {"__metadata__"});
  expect_error<DataError>([&] { write_safetensors(path, {{"x", Tensor()}}, {}); }, {"undefined"});
  expect_error<DataError>([&] { write_safetensors(path, {{"x\xFF", x}}, {}); }, {"UTF-8"});
  expect_error<DataError>([&] { write_safetensors(path, {}, {{"k", "\xC3"}}); }, {"UTF-8"});
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(SafetensorsFile, AFullDiskKeepsTheOldCheckpoint) {
  const TemporaryDirectory directory;
  const auto path = directory / "last.safetensors";
  write_safetensors(path, {{"x", Tensor::full({4}, 1.0F)}}, {});
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1U << 16U, 1U << 16U};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    expect_error<IoError>(
        [&] {
          write_safetensors(path, {{"x", Tensor::full({1 << 18}, 2.0F)}}, {});
        },
        {path.string(), "cannot write"});
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(SafetensorsFile(path).tensor("x").data()[3], 1.0F);
}

TEST(SafetensorsFile, KillDuringASaveLeavesAWholeFile) {
  const TemporaryDirectory directory;
  const auto path = directory / "last.safetensors";
  constexpr std::int64_t kSize = 50'000;
  write_safetensors(path, {{"x", Tensor::zeros({kSize})}}, {{"step", "0"}});
  Rng rng(2);
  for (int round = 0; round < 10; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int step = 1;; ++step)
        write_safetensors(path, {{"x", Tensor::full({kSize}, static_cast<float>(step))}},
                          {{"step", std::to_string(step)}});
    }
    std::this_thread::sleep_for(std::chrono::microseconds(1000 + rng.below(30'000)));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    const SafetensorsFile file(path);
    const Tensor x = file.tensor("x");
    const float step = std::stof(file.metadata().at("step"));
    for (const float value : x.data()) ASSERT_EQ(value, step);
  }
}

}  // namespace
}  // namespace branchy
