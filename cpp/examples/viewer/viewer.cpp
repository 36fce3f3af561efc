// viewer: drag through the latent plane between four digits, each decoded as the pointer gets there.
#include <cstdio>
#include <cstdlib>
#include <digitvae/digitvae.hpp>
#include <exception>

#include "options.hpp"
#include "picture.hpp"
#include "plane.hpp"
#include "sdl.hpp"
#include "window.hpp"

namespace {

// In memory: neither a screen nor a window is needed.
void write_frame(const Plane& plane, Position position, const std::string& path) {
  const OwnedSurface picture(SDL_CreateRGBSurfaceWithFormat(0, kWindowSide, kWindowSide, 24, SDL_PIXELFORMAT_RGB24),
                             SDL_FreeSurface);
  if (picture == nullptr) throw SdlError("cannot make a picture");
  draw(*picture, plane, position);
  save_bmp(*picture, path);
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kFailed = 1;
  constexpr int kWrongUsage = 2;
  try {
    const Options options = parse(argc, argv);
    if (options.help) {
      std::fputs(kHelp, stdout);
      return 0;
    }
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);  // ONNX Runtime would report its use over the network
    const dvae::Decoder decoder(options.model);
    const Plane plane(decoder, options.seed);
    if (options.frame.empty()) {
      Window(plane, options.at).run();
    } else {
      write_frame(plane, options.at, options.frame);
    }
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "viewer: %s (--help lists the options)\n", error.what());
    return kWrongUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "viewer: %s\n", error.what());
    return kFailed;
  }
}
