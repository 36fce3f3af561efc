// Files of images that are there whole or not at all.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

// Written under a temporary name, which commit() replaces by the real one. Without a commit, whatever the
// reason, nothing is left. Throws std::system_error when it cannot write.
class NewFile {
 public:
  explicit NewFile(std::string path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void commit();

 private:
  std::string path_;
  std::string temporary_;
  std::FILE* file_;
};

struct ImageShape {
  std::uint64_t count;
  std::size_t height;
  std::size_t width;
};

class ImageFile {
 public:
  virtual ~ImageFile() = default;
  // The number of images to write at a time, but for the last ones; 0: any.
  virtual std::size_t chunk() const = 0;
  virtual void write(const std::uint8_t* images, std::size_t count) = 0;
  virtual void commit() = 0;
};

// The format is that of the path's extension; throws UsageError if there is none for it, or not for so many images.
std::unique_ptr<ImageFile> open_image_file(const std::string& path, const ImageShape& shape);

// Throws UsageError for extensions that open_image_file does not know.
void require_known_format(const std::string& path);
