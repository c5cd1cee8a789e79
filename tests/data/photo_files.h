// Folders of small photographs for tests: PPM files whose pixels are a function of a number.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace branchy::test {

inline std::string photo_ppm(int height, int width, int seed) {
  std::string text = "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n";
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        text += static_cast<char>((11 * x + 5 * y + 50 * c + 37 * seed) % 256);
  return text;
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

/// `per_class` images of different sizes in each of `classes` directories, "1.a", "2.b", ...
inline void write_photos(const std::filesystem::path& root, int classes, int per_class) {
  for (int c = 0; c < classes; ++c)
    for (int i = 0; i < per_class; ++i) {
      const std::string folder = std::to_string(c + 1) + "." + static_cast<char>('a' + c);
      write_file(root / folder / ("image" + std::to_string(100 + i) + ".ppm"),
                 photo_ppm(20 + i % 7, 30 - i % 5, 100 * c + i));
    }
}

}  // namespace branchy::test
