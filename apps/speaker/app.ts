import { defineApp } from '../../src/app/index.ts';
import { whenPersonDetected } from './detections.ts';
import { model } from './model.ts';
import { whenPlayEnds } from './plays.ts';
import { routes } from './routes.ts';

export default defineApp(model, {
  functions: { whenPersonDetected, whenPlayEnds },
  routes,
  page: new URL('./page.html', import.meta.url),
});
