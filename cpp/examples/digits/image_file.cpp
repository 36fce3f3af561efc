#include "image_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "options.hpp"

namespace {

[[noreturn]] void fail_to_write(const std::string& path) {
  throw std::system_error(errno, std::generic_category(), "cannot write " + path);
}

// IDX, the format of the MNIST files: big-endian magic number, count, height, width, then the pixels.
class IdxFile final : public ImageFile {
 public:
  IdxFile(const std::string& path, const ImageShape& shape) : file_(path), pixels_(shape.height * shape.width) {
    constexpr std::uint32_t kUnsignedBytesInThreeDimensions = 0x0803;
    for (const std::uint64_t number : {std::uint64_t{kUnsignedBytesInThreeDimensions}, shape.count,
                                       std::uint64_t{shape.height}, std::uint64_t{shape.width}}) {
      for (int shift = 24; shift >= 0; shift -= 8) {
        const auto byte = static_cast<std::uint8_t>(number >> shift);
        file_.write(&byte, 1);
      }
    }
  }
  std::size_t chunk() const override { return 0; }
  void write(const std::uint8_t* images, std::size_t count) override { file_.write(images, count * pixels_); }
  void commit() override { file_.commit(); }

 private:
  NewFile file_;
  std::size_t pixels_;
};

// A portable grey map: one picture, whose rows of digits are written as they come.
class PgmSheet final : public ImageFile {
 public:
  PgmSheet(const std::string& path, const ImageShape& shape)
      : file_(path),
        shape_(shape),
        columns_(static_cast<std::size_t>(std::min(shape.count, kMostColumns))),
        row_(columns_ * shape.height * shape.width) {
    const std::uint64_t rows = (shape.count + columns_ - 1) / columns_;
    const std::string header =
        "P5\n" + std::to_string(columns_ * shape.width) + " " + std::to_string(rows * shape.height) + "\n255\n";
    file_.write(header.data(), header.size());
  }
  // Many rows at a time: the fewer digits a chunk has, the less there is to share among threads.
  std::size_t chunk() const override { return 64 * columns_; }
  void write(const std::uint8_t* images, std::size_t count) override {
    for (std::size_t start = 0; start < count; start += columns_) {
      write_row(images + start * shape_.height * shape_.width, std::min(columns_, count - start));
    }
  }
  void commit() override { file_.commit(); }

 private:
  static constexpr std::uint64_t kMostColumns = 20;

  void write_row(const std::uint8_t* images, std::size_t count) {
    std::fill(row_.begin(), row_.end(), std::uint8_t{0});  // the last row may not be full
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t y = 0; y < shape_.height; ++y) {
        const std::uint8_t* const line = images + (i * shape_.height + y) * shape_.width;
        std::copy(line, line + shape_.width, &row_[(y * columns_ + i) * shape_.width]);
      }
    }
    file_.write(row_.data(), row_.size());
  }

  NewFile file_;
  ImageShape shape_;
  std::size_t columns_;
  std::vector<std::uint8_t> row_;
};

}  // namespace

NewFile::NewFile(std::string path)
    : path_(std::move(path)),
      temporary_(path_ + "." + std::to_string(getpid()) + ".tmp"),
      file_(std::fopen(temporary_.c_str(), "wbx")) {  // x: never somebody else's file
  if (file_ == nullptr) fail_to_write(temporary_);
}

NewFile::~NewFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::remove(temporary_.c_str());
}

void NewFile::write(const void* data, std::size_t bytes) {
  if (std::fwrite(data, 1, bytes, file_) != bytes) fail_to_write(path_);
}

void NewFile::commit() {
  // What is written last may fail first here: on a full disk, for example.
  if (std::fflush(file_) != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_to_write(path_);
  std::fclose(std::exchange(file_, nullptr));
}

void require_known_format(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension();
  if (extension != ".pgm" && extension != ".idx") {
    throw UsageError("the output " + path + " ends in neither .pgm nor .idx");
  }
}

std::unique_ptr<ImageFile> open_image_file(const std::string& path, const ImageShape& shape) {
  require_known_format(path);
  if (std::filesystem::path(path).extension() == ".pgm") return std::make_unique<PgmSheet>(path, shape);
  if (shape.count > std::numeric_limits<std::uint32_t>::max()) {
    throw UsageError("an .idx file holds at most 4294967295 images");
  }
  return std::make_unique<IdxFile>(path, shape);
}
