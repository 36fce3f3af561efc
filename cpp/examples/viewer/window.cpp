#include "window.hpp"

#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include "picture.hpp"

namespace {

constexpr int kSmallestSide = 240;

std::string place(const Plane& plane, Position position, const char* format) {
  char text[80];
  std::snprintf(text, sizeof text, format, static_cast<unsigned long long>(plane.seed()), position.right,
                position.down);
  return text;
}

}  // namespace

Window::Video::Video() {
  if (SDL_Init(SDL_INIT_VIDEO) != 0) throw SdlError("cannot start SDL");
}

Window::Video::~Video() { SDL_Quit(); }

Window::Window(Plane plane, Position position)
    : plane_(std::move(plane)),
      position_(position),
      window_(SDL_CreateWindow("viewer", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, kWindowSide, kWindowSide,
                               SDL_WINDOW_RESIZABLE),
              SDL_DestroyWindow) {
  if (window_ == nullptr) throw SdlError("cannot open a window");
  SDL_SetWindowMinimumSize(window_.get(), kSmallestSide, kSmallestSide);
}

void Window::run() {
  while (!closed_) {
    if (std::exchange(changed_, false)) redraw();
    SDL_Event event;
    if (SDL_WaitEvent(&event) == 0) throw SdlError("cannot wait for events");
    // All that came meanwhile: a pointer moves faster than pictures are drawn.
    do {
      handle(event);
    } while (SDL_PollEvent(&event) != 0);
  }
}

// Asked for each time: resizing the window makes a new one.
SDL_Surface& Window::surface() const {
  SDL_Surface* const surface = SDL_GetWindowSurface(window_.get());
  if (surface == nullptr) throw SdlError("cannot draw into the window");
  return *surface;
}

void Window::redraw() const {
  draw(surface(), plane_, position_);
  if (SDL_UpdateWindowSurface(window_.get()) != 0) throw SdlError("cannot show the picture");
  SDL_SetWindowTitle(window_.get(), place(plane_, position_, "viewer: seed %llu at %.3f, %.3f").c_str());
}

void Window::handle(const SDL_Event& event) {
  switch (event.type) {
    case SDL_QUIT:
      closed_ = true;
      break;
    case SDL_WINDOWEVENT:
      if (event.window.event == SDL_WINDOWEVENT_SIZE_CHANGED || event.window.event == SDL_WINDOWEVENT_EXPOSED) {
        changed_ = true;
      }
      break;
    case SDL_MOUSEBUTTONDOWN:
      if (event.button.button == SDL_BUTTON_LEFT) go_to({event.button.x, event.button.y});
      break;
    case SDL_MOUSEMOTION:
      if ((event.motion.state & SDL_BUTTON_LMASK) != 0) go_to({event.motion.x, event.motion.y});
      break;
    case SDL_KEYDOWN:
      handle_key(event.key.keysym.sym);
      break;
    default:
      break;
  }
}

void Window::handle_key(SDL_Keycode key) {
  switch (key) {
    case SDLK_ESCAPE:
    case SDLK_q:
      closed_ = true;
      break;
    case SDLK_SPACE:
    case SDLK_n:
      plane_ = plane_.of_next_seed();
      changed_ = true;
      break;
    case SDLK_s:
      save();
      break;
    default:
      break;
  }
}

void Window::go_to(SDL_Point pointer) {
  const SDL_Surface& picture = surface();
  position_ = position_at(pointer, picture.w, picture.h);
  changed_ = true;
}

// A failure is told and survived: the disk may be full, the window is still there.
void Window::save() const {
  const std::string path = place(plane_, position_, "digit-%llu-%.3f-%.3f.bmp");
  try {
    draw(surface(), plane_, position_);
    save_bmp(surface(), path);
    std::fprintf(stderr, "viewer: saved %s\n", path.c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "viewer: %s\n", error.what());
  }
}
