// The window: pointer and keys in, pictures out.
#pragma once

#include "plane.hpp"
#include "sdl.hpp"

constexpr int kWindowSide = 720;

class Window {
 public:
  Window(Plane plane, Position position);

  // Until the user closes it.
  void run();

 private:
  // SDL itself: started before the window, stopped after it.
  struct Video {
    Video();
    ~Video();
    Video(const Video&) = delete;
    Video& operator=(const Video&) = delete;
  };

  SDL_Surface& surface() const;
  void redraw() const;
  void handle(const SDL_Event& event);
  void handle_key(SDL_Keycode key);
  void go_to(SDL_Point pointer);
  void save() const;

  Plane plane_;
  Position position_;
  bool changed_ = true;
  bool closed_ = false;
  Video video_;
  OwnedWindow window_;
};
